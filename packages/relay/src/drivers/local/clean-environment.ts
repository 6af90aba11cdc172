import { delimiter, sep } from 'node:path';

/** Variables of whoever started the relay that would mislead a shell in a workspace. */
const FOREIGN = /^(npm_|NODE_|VSCODE_|BURROW_|ELECTRON_|INIT_CWD$|TERM_PROGRAM|_$)/i;

/**
 * The relay's environment as a workspace may have it: the person's own (PATH,
 * HOME, LANG, …) without what npm, Node, another VS Code or the relay's
 * configuration put there.
 */
export function cleanEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const clean: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !FOREIGN.test(name)) clean[name] = value;
  }
  if (clean['PATH'] !== undefined) {
    clean['PATH'] = clean['PATH']
      .split(delimiter)
      .filter(
        (folder) => !folder.includes(`node_modules${sep}.bin`) && !folder.includes('node-gyp-bin'),
      )
      .join(delimiter);
  }
  return clean;
}
