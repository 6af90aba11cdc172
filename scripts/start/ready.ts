import { rename, rm, writeFile } from 'node:fs/promises';

/** What a script needs to use the relay; written to `--ready-file`. */
export interface Ready {
  /** Signs in once, within 15 minutes. */
  readonly url: string;
  readonly api: string;
  /** A personal access token, good until the next start. */
  readonly token: string;
  readonly domain: string;
  readonly workspace: { readonly name: string; readonly url: string } | null;
  /** The SSH gateway; `hostKey` as in known_hosts. */
  readonly ssh: { readonly host: string; readonly port: number; readonly hostKey: string };
}

/** The same of several relays behind one address. */
export interface ClusterReady extends Ready {
  readonly relays: readonly {
    readonly id: string;
    /** Straight to this relay, past the address in front. */
    readonly url: string;
    readonly pid: number;
    readonly ssh: Ready['ssh'];
  }[];
  readonly redis: { readonly port: number; readonly pid: number };
  readonly postgres: { readonly port: number; readonly pid: number };
}

/** In one step and for the owner alone: whoever sees the file sees all of it. */
export async function writeReadyFile(path: string, ready: Ready): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  try {
    await writeFile(temporary, `${JSON.stringify(ready, undefined, 2)}\n`, {
      mode: 0o600,
      flag: 'wx',
    });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** The block that `npm start` and `npm run cluster` end with. */
export function readyBlock(ready: Ready | ClusterReady, colours: boolean): string {
  const paint = (code: string, text: string): string =>
    colours ? `\u001b[${code}m${text}\u001b[0m` : text;
  const rows: [string, string][] = [['Open', paint('1;36', ready.url)]];
  if (ready.workspace !== null) rows.push(['Workspace', ready.workspace.url]);
  if (ready.workspace !== null) {
    rows.push(['SSH', `ssh -p ${ready.ssh.port} ${ready.workspace.name}@${ready.ssh.host}`]);
  }
  rows.push(['API', ready.api], ['Token', ready.token]);
  if ('relays' in ready) {
    for (const { id, url, pid } of ready.relays) rows.push([id, `${url} (process ${pid})`]);
  }
  const lines = rows.map(([name, value]) => `  ${paint('2', `${name}:`.padEnd(11))} ${value}`);
  return [
    '',
    `${paint('1;32', 'Burrow is ready.')} Open the first link: it signs you in, once.`,
    '',
    ...lines,
    '',
    `  ${paint('2', 'Ctrl-C stops everything.')}`,
    '',
  ].join('\n');
}
