import { basename } from 'node:path';
import type { PtyCommand } from './types.ts';

const SHELLS = new Set(['sh', 'bash', 'dash', 'ash', 'zsh', 'ksh', 'mksh', 'fish', 'tcsh', 'csh']);

/** The command for rungs that cannot set `argv0`: `-l` asks a shell for the same, to be a login shell. */
export function withoutArgv0(command: PtyCommand): { file: string; args: readonly string[] } {
  const { file, args, argv0 } = command;
  const login = argv0?.startsWith('-') === true && SHELLS.has(basename(file));
  return { file, args: login ? ['-l', ...args] : args };
}

/** The variables that are set. */
export function cleanEnv(
  env: Readonly<Record<string, string | undefined>>,
  term: string,
): Record<string, string> {
  const set: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) if (value !== undefined) set[name] = value;
  set['TERM'] = term;
  return set;
}
