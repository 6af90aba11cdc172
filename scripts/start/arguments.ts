import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../lib/project-node.mjs';

export interface StartArguments {
  readonly port: number;
  /** Undefined: 2222, or any free one when that is taken. */
  readonly sshPort: number | undefined;
  readonly dataDir: string;
  readonly readyFile: string | undefined;
  /** Undefined: the relay alone. */
  readonly workspace: string | undefined;
}

export const HELP = `npm start [-- OPTIONS]

Starts a relay and a workspace with a real VS Code in it.

  --port P          Port of the relay (default 8080).
  --ssh-port P      Port of the SSH gateway (default 2222, or any free one when that is taken).
  --data-dir D      Where database and workspaces are kept (default .burrow/data).
  --ready-file F    Once ready, write JSON there: {url, api, token, domain, workspace,
                    ssh}.
  --workspace NAME  Name of the workspace (default demo).
  --no-workspace    The relay alone.
  --help            Show this.

Other settings of the relay come from BURROW_RELAY_… variables; see docs/configuration.md.
`;

/** Undefined: help was asked for. Throws an Error whose message is for the person who typed. */
export function parseStartArguments(args: readonly string[]): StartArguments | undefined {
  const { values } = parseArgs({
    args: [...args],
    allowPositionals: false,
    options: {
      port: { type: 'string', default: '8080' },
      'ssh-port': { type: 'string' },
      'data-dir': { type: 'string', default: join(ROOT, '.burrow/data') },
      'ready-file': { type: 'string' },
      workspace: { type: 'string', default: 'demo' },
      'no-workspace': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const readyFile = values['ready-file'];
  return {
    port: portOf('--port', values.port),
    sshPort:
      values['ssh-port'] === undefined ? undefined : portOf('--ssh-port', values['ssh-port']),
    dataDir: resolve(values['data-dir']),
    readyFile: readyFile === undefined ? undefined : resolve(readyFile),
    workspace: values['no-workspace'] ? undefined : values.workspace,
  };
}

export function portOf(flag: string, text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new Error(`${flag} must be a number from 0 (any free one) to 65535, not "${text}".`);
  }
  return port;
}
