// Two real relays, an agent that is linked to one of them, users who come in at the other.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT } from '../../../scripts/lib/project-node.mjs';
import { startCluster, type Cluster } from '../../harness/cluster.ts';
import { eventually } from '../../harness/eventually.ts';
import { run } from '../../harness/run.ts';

const MEGABYTES = 20;

let cluster: Cluster;
let app: Server;
let agentLog: () => string;

before(async () => {
  cluster = await startCluster(['edge', 'home']);
  app = createServer((incoming, response) => {
    if (incoming.url === '/held') return response.writeHead(200).flushHeaders();
    // What came, as its hash, and something long back.
    const hash = createHash('sha256');
    incoming.on('data', (chunk: Buffer) => hash.update(chunk));
    incoming.on('end', () => {
      response.setHeader('x-hash', hash.digest('hex'));
      response.end(incoming.method === 'POST' ? PAYLOAD : 'hello from the workload');
    });
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const agent = await cluster.agent('demo', await cluster.line(cluster.relay('home')));
  agentLog = () => agent.log;
  await eventually('the agent is linked', async () => {
    const { relays } = await cluster.api('home').cluster();
    return relays.some(({ id, stats }) => id === 'home' && stats?.agents === 1);
  });
});
after(async () => {
  app?.close();
  app?.closeAllConnections();
  await cluster?.[Symbol.asyncDispose]();
});

const PAYLOAD = randomBytes(MEGABYTES * 1024 * 1024);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const headersFor = (port: number): Record<string, string> => ({
  host: `${port}-demo.localhost`,
  'burrow-authorization': `Bearer ${cluster.token}`,
});

/** A request of a user, at one relay. */
async function ask(
  at: string,
  over: { readonly body?: Buffer; readonly port?: number } = {},
): Promise<{ status: number; bytes: Buffer; hash: string }> {
  const { body, port = (app.address() as AddressInfo).port } = over;
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: cluster.relay(at).port,
        method: body === undefined ? 'GET' : 'POST',
        headers: headersFor(port),
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            bytes: Buffer.concat(chunks),
            hash: String(answer.headers['x-hash']),
          }),
        );
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}

test('a request through the other relay reaches the workload, and its answer the user', async () => {
  const { status, bytes } = await ask('edge');
  assert.equal(`${status} ${bytes.toString()}`, '200 hello from the workload');
});

test(`${MEGABYTES} MB up and ${MEGABYTES} MB down through two relays, byte for byte`, async () => {
  const { status, bytes, hash } = await ask('edge', { body: PAYLOAD });
  assert.equal(status, 200);
  assert.equal(hash, sha256(PAYLOAD));
  assert.equal(sha256(bytes), sha256(PAYLOAD));
});

test('the agent refuses what is not allowed, and writes down whom; the reason reaches the user', async () => {
  const { status, bytes } = await ask('edge', { port: 22 });
  assert.equal(status, 403);
  assert.match(bytes.toString(), /22/);
  const line = await eventually('the agent has written it down', () =>
    agentLog()
      .split('\n')
      .find((each) => each.includes('channel-refused')),
  );
  const { user } = await cluster
    .api('edge')
    .user.show()
    .then(({ username }) => ({ user: username }));
  assert.equal((JSON.parse(line) as { user?: string }).user, user);
});

test('burrow cluster status shows both, from either', async () => {
  const { relays, problem } = await cluster.api('edge').cluster();
  assert.equal(problem, null);
  const [edge, home] = relays;
  assert.deepEqual([edge?.id, edge?.self, home?.id, home?.self], ['edge', true, 'home', false]);
  assert.equal(edge?.stats?.agents, 0);
  assert.ok(edge.stats.peerLinks.out >= 1);
  assert.equal(home?.stats?.agents, 1);
  assert.equal(home.stats.peerLinks.in, edge.stats.peerLinks.out);
  assert.deepEqual([home.stats.state, home.stats.drain], ['ready', null]);

  const env = {
    BURROW_URL: `http://127.0.0.1:${cluster.relay('home').port}`,
    BURROW_TOKEN: cluster.token,
    HOME: cluster.folder,
  };
  const burrow = join(ROOT, 'scripts/burrow.mjs');
  const table = await run(process.execPath, [burrow, 'cluster', 'status'], { env });
  assert.equal(table.code, 0, table.stderr);
  assert.match(table.stdout, /^RELAY +RUN +VERSION +STATE/);
  assert.match(table.stdout, /^edge +[0-9a-f]{8} .* ready /m);
  // Two, where bulk has asked for a second one.
  const row = `^home \\* +[0-9a-f]{8} .* ready .* ${edge.stats.peerLinks.out} in, 0 out`;
  assert.match(table.stdout, new RegExp(row, 'm'));
  const json = await run(process.execPath, [burrow, 'cluster', 'status', '--json'], { env });
  const parsed = JSON.parse(json.stdout) as { relays: { id: string }[] };
  assert.deepEqual(
    parsed.relays.map(({ id }) => id),
    ['edge', 'home'],
  );
});

test('links between relays are counted', async () => {
  const answer = await fetch(`http://127.0.0.1:${cluster.relay('edge').port}/metrics`);
  const text = await answer.text();
  assert.match(text, /^burrow_peer_links\{direction="out"\} [1-4]$/m);
  assert.match(text, /^burrow_peer_links\{direction="in"\} 0$/m);
  assert.match(text, /^burrow_peer_dials_total\{outcome="ok"\} [1-4]$/m);
  assert.doesNotMatch(text, /^burrow_peer_refused_total\{.*\} [1-9]/m);
});

test('a relay that drains shows what is left; one that is gone, why it does not answer', async () => {
  const held = request({
    host: '127.0.0.1',
    port: cluster.relay('home').port,
    path: '/held',
    headers: headersFor((app.address() as AddressInfo).port),
  });
  held.on('error', () => {});
  const [answer] = (await once(held.end(), 'response')) as [IncomingMessage];
  answer.on('error', () => {}).resume();
  cluster.kill('home', 'SIGTERM');
  const draining = await eventually('home drains', async () => {
    const { relays } = await cluster.api('edge').cluster();
    const home = relays.find(({ id }) => id === 'home');
    return home?.stats?.state === 'draining' ? home.stats : undefined;
  });
  assert.ok(draining.drain !== null && draining.drain.busy >= 1);
  assert.ok(draining.drain.secondsLeft <= 10);
  cluster.kill('home');
  held.destroy();
  const shown = await eventually('home does not answer', async () => {
    const { relays } = await cluster.api('edge').cluster();
    return relays.find(({ id, stats }) => id === 'home' && stats === null);
  });
  assert.match(shown.problem ?? '', /ECONNREFUSED|did not answer|No connection/);
});
