import { homedir, userInfo } from 'node:os';
import { existsSync } from 'node:fs';

/** Of the agent's own: what its children must never see. */
const SECRET = /^BURROW_(?:AGENT|RELAY)_/;

/** Of the shell and the terminal that the agent was started in: a session has its own. */
const OWN = /^(?:SHLVL|PWD|OLDPWD|_|TERM|COLUMNS|LINES|SSH_\w+|NODE_CHANNEL_\w+)$/;

/** What a client may set (`SendEnv`, `SetEnv`), as in Debian's sshd, and what colours and git need. */
const ACCEPTED = /^(?:LANG|LC_[A-Z]+|TERM|COLORTERM|NO_COLOR|TZ|GIT_PROTOCOL|EDITOR|VISUAL|PAGER)$/;

export function mayBeSet(name: string): boolean {
  return ACCEPTED.test(name);
}

export interface Shell {
  readonly file: string;
  /** `-bash`: how login shells are told what they are. */
  readonly loginName: string;
  readonly home: string;
  readonly user: string;
}

/** The agent's user's shell; `/bin/sh` where the image knows no such user. */
export function findShell(): Shell {
  let user = process.env['USER'] ?? String(process.getuid?.() ?? '');
  const home = homedir();
  let file = process.env['SHELL'] ?? '';
  try {
    const info = userInfo();
    user = info.username;
    file = info.shell ?? file;
  } catch {
    // A container may run as a number without a name.
  }
  if (file === '' || /\/(?:nologin|false)$/.test(file) || !existsSync(file)) {
    file =
      process.env['SHELL'] !== undefined && existsSync(process.env['SHELL'])
        ? process.env['SHELL']
        : '/bin/sh';
  }
  return { file, loginName: `-${file.slice(file.lastIndexOf('/') + 1)}`, home, user };
}

/** The environment of a session: the agent's own without its secrets, then what SSH says, then what the client set. */
export function sessionEnvironment(
  shell: Shell,
  facts: Readonly<Record<string, string>>,
  asked: ReadonlyMap<string, string>,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !SECRET.test(name) && !OWN.test(name)) env[name] = value;
  }
  return {
    ...env,
    HOME: env['HOME'] ?? shell.home,
    USER: shell.user,
    LOGNAME: shell.user,
    SHELL: shell.file,
    ...facts,
    ...Object.fromEntries(asked),
  };
}
