// Two real relays, whose Redis is slow, emptied, hangs, and is gone, while people come in at the one and agents at the other.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCluster, type Cluster } from '../../harness/cluster.ts';
import { eventually } from '../../harness/eventually.ts';
import { startRedis, type RedisServer } from '../../harness/redis.ts';
import { run } from '../../harness/run.ts';
import { send, type Answer } from '../../harness/send.ts';
import { startSlowLine, type SlowLine } from '../../harness/slow-line.ts';

let redis: RedisServer;
let line: SlowLine;
let cluster: Cluster;
let app: Server;
let cleanUp: AsyncDisposableStack;

before(async () => {
  cleanUp = new AsyncDisposableStack();
  redis = cleanUp.use(await startRedis());
  line = cleanUp.use(await startSlowLine(redis.port, 0));
  const urlFile = join(redis.folder, 'url');
  writeFileSync(urlFile, `redis://127.0.0.1:${line.port}`);
  cluster = cleanUp.use(
    await startCluster(['edge', 'home'], { BURROW_RELAY_CLUSTER__REDIS_URL_FILE: urlFile }),
  );
  app = createServer((_request, response) => response.end('hello from the workload'));
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  cleanUp.defer(() => {
    app.closeAllConnections();
    app.close();
  });
});
after(() => cleanUp.disposeAsync());

/** A workspace whose agent is linked to `home` alone. */
async function workspace(name: string): Promise<void> {
  await cluster.agent(name, await cluster.line(cluster.relay('home')));
  await eventually(`the agent of ${name} is there`, async () => {
    return (await ask('home', name)).status === 200;
  });
}

function ask(at: string, name: string): Promise<Answer> {
  const { port } = app.address() as AddressInfo;
  return send(`http://${port}-${name}.localhost:${cluster.relay(at).port}/`, {
    headers: { 'burrow-authorization': `Bearer ${cluster.token}` },
  });
}

async function readiness(at: string): Promise<{ status: number; registry: string }> {
  const answer = await send(`http://localhost:${cluster.relay(at).port}/readyz`);
  const { parts } = answer.json<{ parts: Record<string, string> }>();
  return { status: answer.status, registry: parts['registry'] ?? '' };
}

async function metric(at: string, name: string): Promise<number> {
  const { text } = await send(`http://localhost:${cluster.relay(at).port}/metrics`);
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

async function serves(at: string, name: string, withinMs: number): Promise<number> {
  const began = performance.now();
  const { status, text } = await ask(at, name);
  const took = performance.now() - began;
  assert.equal(`${status} ${text}`, '200 hello from the workload');
  assert.ok(took <= withinMs, `${Math.round(took)} ms`);
  return took;
}

test('people at the one relay reach an agent of the other, and are not looked up again', async () => {
  await workspace('known');
  await serves('edge', 'known', 5_000);
  const before = await metric('edge', 'burrow_registry_lookups_total');
  for (let at = 0; at < 20; at++) await serves('edge', 'known', 5_000);
  assert.equal(await metric('edge', 'burrow_registry_lookups_total'), before);
  assert.deepEqual(await readiness('edge'), { status: 200, registry: 'ok' });
  assert.equal(await metric('edge', 'burrow_registry_healthy'), 1);
  assert.equal(await metric('edge', 'burrow_registry_relays'), 2);
});

test('ssh to the one relay reaches an agent of the other', async () => {
  const folder = cluster.folder;
  const identity = join(folder, 'id');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', identity]);
  const publicKey = readFileSync(`${identity}.pub`, 'utf8').trim();
  await cluster.api('home').user.addKey({ title: 'test', key: publicKey });
  const { ssh } = cluster.relay('edge');
  const knownHosts = join(folder, 'known_hosts');
  writeFileSync(knownHosts, `[127.0.0.1]:${ssh.port} ${ssh.hostKey}\n`);
  const options = ['BatchMode=yes', `UserKnownHostsFile=${knownHosts}`, 'IdentitiesOnly=yes'];
  const ran = await run('ssh', [
    ...['-F', 'none', '-i', identity, '-p', String(ssh.port)],
    ...options.flatMap((option) => ['-o', option]),
    ...['known@127.0.0.1', 'echo "it is $((6 * 7))"'],
  ]);
  assert.equal(ran.stdout, 'it is 42\n', ran.stderr);
});

test('Redis takes a second for each answer: a first visit takes a few, later ones nothing', async () => {
  line.delayMs = 1_000;
  await workspace('slow');
  await serves('edge', 'slow', 8_000);
  await serves('edge', 'slow', 900);
  assert.equal((await readiness('edge')).registry, 'ok');
  line.delayMs = 0;
});

test('Redis is emptied: an agent that the edge has never asked for is found all the same', async () => {
  await workspace('unasked');
  await redis.cli('FLUSHALL');
  await serves('edge', 'known', 1_000);
  await serves('edge', 'unasked', 9_000);
});

test('Redis is gone: what is known goes on, what is not says why, and all heals by itself', async () => {
  await redis.kill();
  await eventually('it is seen', async () => {
    return (await readiness('edge')).registry.startsWith('Redis does not answer');
  });
  // No reason to send people elsewhere.
  assert.equal((await readiness('edge')).status, 200);
  assert.equal(await metric('edge', 'burrow_registry_healthy'), 0);
  await serves('edge', 'known', 1_000);
  // An agent that connects now is served where it is.
  await workspace('fresh');
  await serves('home', 'fresh', 1_000);
  const began = performance.now();
  const refused = await ask('edge', 'fresh');
  assert.ok(performance.now() - began < 5_000);
  assert.equal(refused.status, 503);
  assert.match(refused.text, /Redis does not answer\. .* cannot be looked up/);
  assert.doesNotMatch(refused.text, /ECONNREFUSED|127\.0\.0\.1/);

  await redis.start();
  await eventually('it is well', async () => (await readiness('edge')).registry === 'ok');
  await serves('edge', 'fresh', 5_000);
  await serves('edge', 'known', 1_000);
});

test('Redis hangs: the same', async () => {
  redis.pause();
  try {
    await serves('edge', 'known', 1_000);
    await workspace('hung');
    const began = performance.now();
    const refused = await ask('edge', 'hung');
    assert.ok(performance.now() - began < 11_000);
    assert.equal(refused.status, 503);
    await eventually('it is seen', async () => {
      return (await readiness('edge')).registry.startsWith('Redis does not answer');
    });
  } finally {
    redis.resume();
  }
  await eventually('it is well', async () => (await readiness('edge')).registry === 'ok');
  await serves('edge', 'hung', 5_000);
});

test('two idle relays ask little of Redis', async (t) => {
  const before = await redis.calls();
  await sleep(10_000);
  const calls = [...(await redis.calls())]
    .map(([name, count]) => [name, (count - (before.get(name) ?? 0)) / 10] as const)
    .filter(([name, perSecond]) => name !== 'info' && perSecond > 0);
  const perSecond = calls.reduce((sum, [, each]) => sum + each, 0);
  t.diagnostic(calls.map(([name, each]) => `${name} ${each}/s`).join(', '));
  assert.ok(perSecond < 3);
});
