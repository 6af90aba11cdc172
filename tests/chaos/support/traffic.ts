import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { ROOT } from '../../../scripts/lib/project-node.mjs';
import type { Cluster } from '../../harness/cluster.ts';
import { eventually } from '../../harness/eventually.ts';
import { run } from '../../harness/run.ts';
import type { App } from './app.ts';
import { download, events, forwarded, sshEcho, upload, websocket, type Stream } from './streams.ts';

export interface Traffic {
  /** Every kind of it at once, through this relay; the command line goes over `cliPort`. */
  start(edge: string, cliPort: number, count: number, options?: TrafficOptions): Stream[];
  /** A file to the workspace by `scp`, through the command line, at this pace. Rejects when scp fails. */
  scp(cliPort: number, from: string, to: string, kbitPerSecond: number): Promise<void>;
}

export interface TrafficOptions {
  /** Of each piece of the download and the upload. */
  readonly bytes?: number;
  /** Of what ends with the edge relay's process; default: as many as of the rest. */
  readonly edgeCount?: number;
}

const SCP_MS = 600_000;
const SCRIPT = join(ROOT, 'scripts/burrow.mjs');

/** A key in the account, and known hosts; once for a cluster with a workspace whose agent is connected. */
export async function prepareTraffic(
  cluster: Cluster,
  app: App,
  workspace: string,
): Promise<Traffic> {
  const { folder, token } = cluster;
  const identity = join(folder, 'identity');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', identity]);
  const api = cluster.api('edge');
  await api.user.addKey({ title: 'tests', key: readFileSync(`${identity}.pub`, 'utf8').trim() });
  const { ssh } = await eventually('the workspace tells its SSH host key', async () => {
    const view = await api.workspaces.show(workspace);
    return view.ssh.hostKey === null ? undefined : view;
  });
  const known = join(folder, 'known_hosts');
  writeFileSync(
    known,
    `relay ${cluster.relay('edge').ssh.hostKey}\nworkload ${ssh.hostKey ?? ''}\n`,
  );
  const common = [
    ...['-F', 'none', '-i', identity, '-o', 'IdentitiesOnly=yes', '-o', 'IdentityAgent=none'],
    ...['-o', `UserKnownHostsFile=${known}`, '-o', 'StrictHostKeyChecking=yes'],
    ...['-o', 'BatchMode=yes'],
  ];
  const proxy = `'${process.execPath}' '${SCRIPT}' ssh-proxy ${workspace} --key '${identity}.pub'`;
  const throughCli = ['-o', 'HostKeyAlias=workload', '-o', `ProxyCommand=${proxy}`];
  const cliEnv = (port: number): Record<string, string> => ({
    HOME: folder,
    BURROW_URL: `http://127.0.0.1:${port}`,
    BURROW_TOKEN: token,
  });
  return {
    async scp(cliPort, from, to, kbitPerSecond) {
      const args = [
        ...common,
        ...throughCli,
        '-l',
        String(kbitPerSecond),
        from,
        `any@workload:${to}`,
      ];
      const { code, stderr } = await run('scp', args, {
        env: cliEnv(cliPort),
        withinMs: SCP_MS,
      });
      if (code !== 0) throw new Error(`scp ended with ${code}: ${stderr}`);
    },
    start(edge, cliPort, count, { bytes, edgeCount = count } = {}) {
      const { port, ssh: gateway } = cluster.relay(edge);
      const entrance = { port, host: `${app.port}-${workspace}.localhost`, token };
      return [
        download(entrance, edgeCount, bytes),
        upload(entrance, edgeCount, bytes),
        events(entrance, edgeCount),
        websocket(entrance, edgeCount),
        sshEcho(
          'ssh to the gateway',
          [
            ...common,
            '-o',
            'HostKeyAlias=relay',
            '-p',
            String(gateway.port),
            `${workspace}@127.0.0.1`,
          ],
          { HOME: folder },
          edgeCount,
        ),
        sshEcho(
          'burrow ssh-proxy',
          [...common, ...throughCli, 'any@workload'],
          cliEnv(cliPort),
          count,
        ),
        forwarded(workspace, app.echoPort, cliEnv(cliPort), count),
      ];
    },
  };
}
