import type { PtyModes } from './types.ts';

/** Characters that `stty` knows, by their names in RFC 4254. 255 means none. */
const CHARACTERS: Readonly<Record<string, string>> = {
  VINTR: 'intr',
  VQUIT: 'quit',
  VERASE: 'erase',
  VKILL: 'kill',
  VEOF: 'eof',
  VEOL: 'eol',
  VEOL2: 'eol2',
  VSTART: 'start',
  VSTOP: 'stop',
  VSUSP: 'susp',
  VREPRINT: 'rprnt',
  VWERASE: 'werase',
  VLNEXT: 'lnext',
};

/** Flags that a new terminal of Linux has on; the others that we pass on are off. */
const ON = new Set([
  'ICRNL',
  'IXON',
  'ISIG',
  'ICANON',
  'ECHO',
  'ECHOE',
  'ECHOK',
  'IEXTEN',
  'ECHOCTL',
  'ECHOKE',
  'OPOST',
  'ONLCR',
  'CS8',
]);

/** Left out: parity and character size, which mean nothing for a terminal without a line, and what Linux lacks. */
const FLAGS = [
  ...ON,
  'IGNPAR',
  'PARMRK',
  'INPCK',
  'ISTRIP',
  'INLCR',
  'IGNCR',
  'IUCLC',
  'IXANY',
  'IXOFF',
  'IMAXBEL',
  'ECHONL',
  'NOFLSH',
  'TOSTOP',
  'OLCUC',
  'OCRNL',
  'ONOCR',
  'ONLRET',
].filter((name) => name !== 'CS8');

/** The characters of a new terminal of Linux; those not named have none. */
const DEFAULT_CHARACTERS: Readonly<Record<string, number>> = {
  VINTR: 3,
  VQUIT: 28,
  VERASE: 127,
  VKILL: 21,
  VEOF: 4,
  VSTART: 17,
  VSTOP: 19,
  VSUSP: 26,
  VREPRINT: 18,
  VWERASE: 23,
  VLNEXT: 22,
};

/** The modes a terminal gets: the client's where we know them, else Linux' own. */
export function effectiveModes(modes: PtyModes): Record<string, number> {
  const all: Record<string, number> = {};
  for (const name of FLAGS) all[name] = (modes[name] ?? (ON.has(name) ? 1 : 0)) === 0 ? 0 : 1;
  for (const name of Object.keys(CHARACTERS)) {
    const value = modes[name] ?? DEFAULT_CHARACTERS[name] ?? 255;
    all[name] = value >= 0 && value <= 255 ? Math.trunc(value) : 255;
  }
  return all;
}

/**
 * A command for any POSIX shell that sets all modes, what belongs to UTF-8,
 * and `more`; what its `stty` does not know is left out.
 */
export function sttyCommand(modes: PtyModes, more: readonly (readonly string[])[] = []): string {
  const groups = [...more, ['iutf8'], ...sttyGroups(modes)];
  const stty = (words: readonly string[]): string =>
    `stty ${words.map((word) => `'${word}'`).join(' ')}`;
  return `{ ${stty(groups.flat())} || { ${groups.map(stty).join('; ')}; }; } 2>/dev/null`;
}

/** Arguments for `stty`, which belong together. Each word is ours: letters, digits, `-`, `^` and a character. */
function sttyGroups(modes: PtyModes): string[][] {
  return Object.entries(effectiveModes(modes)).map(([name, value]) => {
    const character = CHARACTERS[name];
    if (character !== undefined) return [character, sttyCharacter(value)];
    return [`${value === 0 ? '-' : ''}${name.toLowerCase()}`];
  });
}

/** `^C`, `^?`, `undef`, or a number, which every `stty` reads (octal with a leading 0 is avoided). */
function sttyCharacter(value: number): string {
  if (value === 255 || value === 0) return 'undef';
  if (value < 32) return `^${String.fromCharCode(value + 64)}`;
  return value === 127 ? '^?' : String(value);
}
