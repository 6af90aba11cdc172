import { randomBytes } from 'node:crypto';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** HTML that needs no more escaping. Made by `html` only. */
export interface Html {
  readonly markup: string;
}

type Part = string | number | Html | undefined | readonly Html[];

function show(part: Part): string {
  if (part === undefined) return '';
  if (typeof part === 'string' || typeof part === 'number') {
    return String(part).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
  }
  if ('markup' in part) return part.markup;
  return part.map((item) => item.markup).join('');
}

/** A template in which every value is escaped, unless it is Html itself. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  let markup = texts[0] ?? '';
  parts.forEach((part, index) => {
    markup += show(part) + (texts[index + 1] ?? '');
  });
  return { markup };
}

/** A fresh nonce for one page's Content-Security-Policy. */
export function newNonce(): string {
  return randomBytes(16).toString('base64');
}
