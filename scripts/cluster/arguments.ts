import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../lib/project-node.mjs';
import { portOf } from '../start/arguments.ts';

export interface ClusterArguments {
  readonly relays: number;
  readonly port: number;
  /** Undefined: 2222, or any free one when that is taken. */
  readonly sshPort: number | undefined;
  readonly dataDir: string;
  readonly readyFile: string | undefined;
  /** Undefined: the relays alone. */
  readonly workspace: string | undefined;
}

const MAX_RELAYS = 16;

export const HELP = `npm run cluster [-- OPTIONS]

Starts several relays behind one address, with a Redis and a PostgreSQL of their own,
and a workspace with a real VS Code in it. As root on Debian, what is missing is installed.

  --relays N        Relays (default 3, at most ${MAX_RELAYS}).
  --port P          Port of the address in front of them (default 8080).
  --ssh-port P      Port of the SSH gateways (default 2222, or any free one when that is taken).
  --data-dir D      Where databases and workspaces are kept (default .burrow/cluster).
  --ready-file F    Once ready, write JSON there: {url, api, token, domain, workspace, ssh,
                    relays: [{id, url, pid, ssh}], redis, postgres}.
  --workspace NAME  Name of the workspace (default demo).
  --no-workspace    The relays alone.
  --help            Show this.

Other settings of the relays come from BURROW_RELAY_… variables; see docs/configuration.md.
`;

/** Undefined: help was asked for. Throws an Error whose message is for the person who typed. */
export function parseClusterArguments(args: readonly string[]): ClusterArguments | undefined {
  const { values } = parseArgs({
    args: [...args],
    allowPositionals: false,
    options: {
      relays: { type: 'string', default: '3' },
      port: { type: 'string', default: '8080' },
      'ssh-port': { type: 'string' },
      'data-dir': { type: 'string', default: join(ROOT, '.burrow/cluster') },
      'ready-file': { type: 'string' },
      workspace: { type: 'string', default: 'demo' },
      'no-workspace': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const relays = Number(values.relays);
  if (!/^\d+$/.test(values.relays) || relays < 1 || relays > MAX_RELAYS) {
    throw new Error(`--relays must be a number from 1 to ${MAX_RELAYS}, not "${values.relays}".`);
  }
  const readyFile = values['ready-file'];
  const sshPort = values['ssh-port'];
  return {
    relays,
    port: portOf('--port', values.port),
    sshPort: sshPort === undefined ? undefined : portOf('--ssh-port', sshPort),
    dataDir: resolve(values['data-dir']),
    readyFile: readyFile === undefined ? undefined : resolve(readyFile),
    workspace: values['no-workspace'] ? undefined : values.workspace,
  };
}
