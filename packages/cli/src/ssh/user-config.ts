import { CliError } from '../cli-error.ts';

const BEGIN = '# >>> burrow ssh-config >>>';
const END = '# <<< burrow ssh-config <<<';

/** The lines that lead from a person's own configuration to ours. */
export function includeBlock(file: string): string {
  return `${BEGIN}\n# ssh reaches workspaces as <name>.burrow. To take this out: burrow ssh-config --remove\nInclude "${file}"\n${END}\n`;
}

/**
 * The configuration with the block at its very top: further down it would belong to the
 * `Host` before it. All else stays byte for byte. Throws CliError.
 */
export function withBlock(text: string, block: string): string {
  return block + withoutBlock(text);
}

/** Throws CliError when the markers are not a pair. */
export function withoutBlock(text: string): string {
  const begin = lineOf(text, BEGIN);
  const end = lineOf(text, END);
  if (begin === undefined && end === undefined) return text;
  if (begin === undefined || end === undefined || end.start < begin.start) {
    throw new CliError(
      `Your ssh configuration holds only one of the two lines “${BEGIN}” and “${END}”. Remove what is left of that block, then run this again.`,
    );
  }
  return text.slice(0, begin.start) + withoutBlock(text.slice(end.end));
}

/** Where a line of exactly this text is, with its line break. */
function lineOf(text: string, line: string): { start: number; end: number } | undefined {
  for (let start = text.indexOf(line); start !== -1; start = text.indexOf(line, start + 1)) {
    if (start > 0 && text[start - 1] !== '\n') continue;
    const [rest = ''] = text.slice(start + line.length).split('\n', 1);
    if (rest.trim() !== '') continue;
    return { start, end: Math.min(text.length, start + line.length + rest.length + 1) };
  }
  return undefined;
}
