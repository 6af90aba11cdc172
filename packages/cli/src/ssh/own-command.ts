import { fileURLToPath } from 'node:url';

/** How ssh starts this very program: no PATH is relied on. */
const WORDS = [
  process.execPath,
  fileURLToPath(new URL('../../../../scripts/burrow.mjs', import.meta.url)),
];

/** For ProxyCommand, which a shell reads after ssh has replaced %h and its like. */
export function forShell(args: readonly string[]): string {
  return [...WORDS, ...args].map((word) => `'${percent(word).replaceAll("'", `'\\''`)}'`).join(' ');
}

/** For KnownHostsCommand, which ssh splits by itself; `%H` and its like in `tokens` stay. */
export function forSsh(args: readonly string[], tokens: readonly string[]): string {
  const words = [...WORDS, ...args].map(
    (word) => `"${percent(word).replace(/[\\"]/g, String.raw`\$&`)}"`,
  );
  return [...words, ...tokens].join(' ');
}

function percent(word: string): string {
  return word.replaceAll('%', '%%');
}
