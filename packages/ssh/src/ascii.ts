const PLAIN: Readonly<Record<string, string>> = {
  '…': '...',
  '’': "'",
  '“': '"',
  '”': '"',
  '–': '-',
};

/** OpenSSH's client shows other bytes of a notice as octal numbers. */
export function asciiOnly(text: string): string {
  return text.replaceAll(/[^\n\r\t\x20-\x7e]/g, (character) => PLAIN[character] ?? '?');
}
