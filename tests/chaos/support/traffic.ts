import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { ROOT } from '../../../scripts/lib/project-node.mjs';
import type { Cluster } from '../../harness/cluster.ts';
import { eventually } from '../../harness/eventually.ts';
import { run } from '../../harness/run.ts';
import type { App } from './app.ts';
import { download, events, sshEcho, upload, websocket, type Stream } from './streams.ts';

export interface Traffic {
  /** Every kind of it at once, through this relay; the command line goes over `cliPort`. */
  start(edge: string, cliPort: number, count: number): Stream[];
}

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
  return {
    start(edge, cliPort, count) {
      const { port, ssh: gateway } = cluster.relay(edge);
      const entrance = { port, host: `${app.port}-${workspace}.localhost`, token };
      const proxy = `'${process.execPath}' '${SCRIPT}' ssh-proxy ${workspace} --key '${identity}.pub'`;
      return [
        download(entrance, count),
        upload(entrance, count),
        events(entrance, count),
        websocket(entrance, count),
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
          count,
        ),
        sshEcho(
          'burrow ssh-proxy',
          [...common, '-o', 'HostKeyAlias=workload', '-o', `ProxyCommand=${proxy}`, 'any@workload'],
          { HOME: folder, BURROW_URL: `http://127.0.0.1:${cliPort}`, BURROW_TOKEN: token },
          count,
        ),
      ];
    },
  };
}
