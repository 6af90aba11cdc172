import { chmodSync, existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '@burrow/api';
import type { ClusterReady } from '../../scripts/start/ready.ts';
import { Child, run } from '../lib/child.ts';
import { freePort } from '../lib/free-port.ts';
import type { Endpoint, System } from '../scenario.ts';
import { AGENT_BUNDLE, agentEnvironment } from './burrow.ts';
import type { Workload } from './workload.ts';

const ROOT = join(import.meta.dirname, '../..');
const WORKSPACE = 'bench';

/** One agent, linked to the first relay; users come in at either. */
export interface TwoRelays extends AsyncDisposable {
  /** The relay that has the agent's links. */
  readonly home: System;
  /** The other one: each request passes through both. */
  readonly edge: System;
}

/** Two relays as `npm run cluster` runs them, each a process, with a Redis and a PostgreSQL of their own. */
export async function startTwoRelays(directory: string, workload: Workload): Promise<TwoRelays> {
  await run(process.execPath, [join(ROOT, 'scripts/build-agent.mjs')]);
  const root = mkdtempSync(join(directory, 'two-relays-'));
  // PostgreSQL runs as another user, who must pass through.
  for (const folder of [directory, root]) chmodSync(folder, 0o711);
  const readyFile = join(root, 'ready.json');
  const port = await freePort();
  const cluster = new Child(process.execPath, [
    ...['--disable-warning=ExperimentalWarning', join(ROOT, 'scripts/cluster.ts')],
    ...['--relays', '2', '--no-workspace', '--port', String(port), '--ssh-port', '0'],
    ...['--data-dir', join(root, 'data'), '--ready-file', readyFile],
  ]);
  await cluster.until(() => existsSync(readyFile), STARTS_WITHIN_MS);
  const ready = JSON.parse(readFileSync(readyFile, 'utf8')) as ClusterReady;
  const [home, edge] = ready.relays.map(({ url }) => new URL(url));
  if (home === undefined || edge === undefined) throw new Error('the cluster has no two relays');
  const client = createClient({ baseUrl: home, token: ready.token });
  const created = await client.workspaces.create({ name: WORKSPACE, driver: 'external' });
  const agent = new Child(process.execPath, [AGENT_BUNDLE], {
    ...agentEnvironment(created, Number(home.port)),
  });
  await agent.until(async () => {
    const shown = await client.workspaces.show(WORKSPACE);
    return (shown.agent?.connectedSince ?? null) !== null;
  });
  const domain = ready.domain.split(':')[0] ?? ready.domain;
  const through = (relay: URL): System => ({
    endpoint: (upstream): Endpoint => {
      const app = upstream === 'http' ? workload.httpPort : workload.echoPort;
      return {
        port: Number(relay.port),
        headers: {
          Host: `${app}-${WORKSPACE}.${domain}:${port}`,
          'Burrow-Authorization': `Bearer ${ready.token}`,
        },
      };
    },
  });
  return {
    home: through(home),
    edge: through(edge),
    async [Symbol.asyncDispose]() {
      await agent.stop();
      await cluster.stop(STOPS_WITHIN_MS);
    },
  };
}

/** PostgreSQL makes its files first. */
const STARTS_WITHIN_MS = 60_000;
/** Databases and relays end in order. */
const STOPS_WITHIN_MS = 15_000;
