import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Commands the benchmark runs, and the Debian packages they come from. */
const TOOLS: Readonly<Record<string, string>> = {
  nginx: 'nginx',
  caddy: 'caddy',
  wrk: 'wrk',
  curl: 'curl',
  ssh: 'openssh-client',
  sshd: 'openssh-server',
  'ssh-keygen': 'openssh-client',
  scp: 'openssh-client',
  sftp: 'openssh-client',
  rsync: 'rsync',
};

const PATHS = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  '/usr/sbin',
  '/sbin',
  '/usr/local/sbin',
];

/** The full path of a command, or undefined. */
export function find(command: string): string | undefined {
  return PATHS.map((path) => join(path, command)).find((path) => existsSync(path));
}

/** Throws, naming every missing command and how to get them. */
export function checkTools(): void {
  const missing = Object.keys(TOOLS).filter((tool) => find(tool) === undefined);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => TOOLS[tool]))].join(' ');
  throw new Error(
    `the benchmark needs ${missing.join(', ')}; on Debian: apt-get install -y --no-install-recommends ${packages}`,
  );
}

export function tool(command: string): string {
  return find(command) ?? command;
}
