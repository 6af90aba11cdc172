import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { PtyCommand } from './pty/types.ts';

const NAME = 'SSH_TTY=$(tty 2>/dev/null) && export SSH_TTY; exec';

/** Shells that can give a program the name that makes it a login shell, and how they leave their own files alone. */
const LOGIN: Readonly<Record<string, readonly string[]>> = {
  bash: ['--norc', '--noprofile'],
  zsh: ['-f'],
};

/**
 * Sets SSH_TTY, as sshd does. The terminal's name is known only in it: a shell
 * says it and then becomes the command, with the same process id. Login shells
 * other than bash and zsh go without.
 */
export function nameTerminal(command: PtyCommand): PtyCommand {
  const { file, args, argv0 } = command;
  if (argv0 === undefined) {
    if (!existsSync('/bin/sh')) return command;
    return { file: '/bin/sh', args: ['-c', `${NAME} "$0" "$@"`, file, ...args] };
  }
  const quiet = LOGIN[basename(file)];
  if (quiet === undefined) return command;
  return { file, args: [...quiet, '-c', `${NAME} -a "$0" "$@"`, argv0, file, ...args] };
}
