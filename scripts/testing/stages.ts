import { existsSync, globSync } from 'node:fs';
import { POSTGRES } from '../lib/postgres-server.ts';
import { hasCommand, hasPythonModule, type Need } from '../lib/system-packages.ts';

/** A stage of `npm test`: a command that passes or fails, or files of tests. */
export type Stage = CheckStage | FilesStage;

export interface CheckStage {
  readonly kind: 'check';
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

export interface FilesStage {
  readonly kind: 'files';
  readonly name: string;
  readonly patterns: readonly string[];
  /** Test files run at once. */
  readonly concurrency: number;
  readonly needs: readonly Need[];
  readonly needsEditor: boolean;
  /**
   * A test file's process is ended once its tests are over. Node 24 sometimes spins for ever in its own
   * clean-up (`Environment::CleanupHandles`) after it has run children with an IPC channel.
   */
  readonly forceExit?: boolean;
  /** Its tests keep their data in a PostgreSQL that runs for the length of the stage. */
  readonly onPostgres?: boolean;
}

const command = (what: string, debian: string, ...names: string[]): Need => ({
  what,
  debian,
  present: () => hasCommand(...names),
});

const OPENSSL = command('openssl', 'openssl', 'openssl');
const python = (what: string, debian: string, module: string): Need => ({
  what,
  debian,
  present: () => hasPythonModule(module),
});
const PYTHON_MODULES = [
  python('gRPC for Python 3', 'python3-grpcio', 'grpc'),
  python('the gRPC tools for Python 3', 'python3-grpc-tools', 'grpc_tools'),
  python('websockets for Python 3', 'python3-websockets', 'websockets'),
];

const CURL = command('curl', 'curl', 'curl');
const OPENSSH = [
  command('OpenSSH’s client', 'openssh-client', 'ssh'),
  {
    what: 'OpenSSH’s server',
    debian: 'openssh-server',
    // Not in the PATH of everybody.
    present: () => existsSync('/usr/sbin/sshd'),
  },
];

const SSH_TOOLS = [
  ...OPENSSH,
  command('git', 'git', 'git'),
  command('rsync', 'rsync', 'rsync'),
  command('tmux', 'tmux', 'tmux'),
  command('vim', 'vim', 'vim'),
  command('pgrep and top', 'procps', 'top'),
  command('mosh', 'mosh', 'mosh'),
  command('Ansible', 'ansible-core', 'ansible-playbook'),
  command('PuTTY’s tools', 'putty-tools', 'plink'),
  command('Dropbear’s client', 'dropbear-bin', 'dbclient'),
  command('ssh-audit', 'ssh-audit', 'ssh-audit'),
];

export const STAGES: readonly Stage[] = [
  { kind: 'check', name: 'types', command: 'tsc', args: ['-p', 'tsconfig.json'] },
  { kind: 'check', name: 'lint', command: 'oxlint', args: ['--type-aware'] },
  { kind: 'check', name: 'format', command: 'oxfmt', args: ['--check'] },
  {
    kind: 'files',
    name: 'unit',
    patterns: ['packages/*/src/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/**/*.test.ts'],
    concurrency: 2,
    needs: [OPENSSL, CURL, ...OPENSSH, command('sshfs', 'sshfs', 'sshfs')],
    needsEditor: false,
  },
  {
    kind: 'files',
    name: 'postgres',
    // Of the units, those that keep something in the database; the others have no SQL.
    patterns: [
      'packages/relay/src/db/database.test.ts',
      'packages/relay/src/{auth,audit,changes,control,keys}/**/*.test.ts',
    ],
    concurrency: 2,
    needs: [OPENSSL, ...OPENSSH, POSTGRES],
    needsEditor: false,
    onPostgres: true,
  },
  {
    kind: 'files',
    name: 'system',
    forceExit: true,
    patterns: ['tests/system/**/*.test.ts', 'tests/harness/**/*.test.ts'],
    concurrency: 1,
    needs: [
      OPENSSL,
      ...PYTHON_MODULES,
      POSTGRES,
      command('nginx', 'nginx', 'nginx'),
      {
        what: 'nginx’s stream module',
        debian: 'libnginx-mod-stream',
        present: () => existsSync('/usr/lib/nginx/modules/ngx_stream_module.so'),
      },
      {
        what: 'HAProxy',
        debian: 'haproxy',
        // Not in the PATH of everybody.
        present: () => existsSync('/usr/sbin/haproxy'),
      },
      CURL,
      {
        what: 'a BusyBox that needs no libraries',
        debian: 'busybox-static',
        present: () => existsSync('/bin/busybox'),
      },
      command('systemd-analyze', 'systemd', 'systemd-analyze'),
      command('Redis', 'redis-server', 'redis-server'),
      ...SSH_TOOLS,
    ],
    needsEditor: true,
  },
  {
    kind: 'files',
    name: 'chaos',
    forceExit: true,
    patterns: ['tests/chaos/**/*.test.ts'],
    concurrency: 1,
    needs: [
      OPENSSL,
      POSTGRES,
      command('Redis', 'redis-server', 'redis-server'),
      ...SSH_TOOLS,
      command('faketime', 'faketime', 'faketime'),
    ],
    needsEditor: false,
  },
  {
    kind: 'files',
    name: 'browser',
    patterns: ['tests/e2e/**/*.test.ts'],
    concurrency: 1,
    needs: [
      OPENSSL,
      POSTGRES,
      command('Redis', 'redis-server', 'redis-server'),
      command('Chromium', 'chromium', 'chromium', 'chromium-browser'),
    ],
    needsEditor: true,
  },
];

/** The stage's files, those whose path contains one of the filters when there are any. */
export function filesOf(stage: FilesStage, root: string, filters: readonly string[]): string[] {
  const all = globSync([...stage.patterns], { cwd: root, exclude: ['**/node_modules/**'] });
  return all
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .sort();
}
