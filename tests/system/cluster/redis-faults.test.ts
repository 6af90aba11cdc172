import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TunnelError } from '@burrow/tunnel';
import {
  finds,
  relayInfo,
  until,
} from '../../../packages/relay/src/routing/registry-compliance.ts';
import { startRedis, startRedisCluster, startRedisSentinel } from '../../harness/redis.ts';
import { startSlowLine } from '../../harness/slow-line.ts';
import { eventually } from '../../harness/eventually.ts';
import { member, type Member } from './support.ts';

const LONG_LEASE_MS = 60_000;
const soon = (): AbortSignal => AbortSignal.timeout(10_000);

function complaint(one: Member, agentId = 'agent'): Promise<TunnelError> {
  return one.registry.find(agentId, soon()).then(
    () => assert.fail('the lookup went well'),
    (error: unknown) => {
      assert.ok(error instanceof TunnelError, String(error));
      assert.equal(error.code, 'unavailable');
      return error;
    },
  );
}

test('Redis is away at the start: the relay starts, says so, and writes everything later', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  await redis.kill();
  const a = member(t, { redisUrl: redis.url }, LONG_LEASE_MS);
  await a.registry.start(relayInfo('a'));
  a.registry.add('agent', 'l', '01');
  assert.equal(a.registry.healthy, false);
  assert.match(a.registry.problem ?? '', /^Redis does not answer \(connect ECONNREFUSED\)\.$/);
  const { message } = await complaint(a);
  assert.match(message, /^Redis does not answer\. .*cannot be looked up\.$/);
  await redis.start();
  await until(() => a.registry.healthy, true);
  const b = member(t, { redisUrl: redis.url }, LONG_LEASE_MS);
  await b.registry.start(relayInfo('b'));
  await finds(b.registry, 'agent', ['a 01']);
});

test('Redis dies and comes back empty: a lookup says so at once, then all is as before', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const [a, b] = [0, 1].map(() => member(t, { redisUrl: redis.url }, LONG_LEASE_MS));
  assert.ok(a !== undefined && b !== undefined);
  await a.registry.start(relayInfo('a'));
  await b.registry.start(relayInfo('b'));
  for (let at = 0; at < 1_000; at++) a.registry.add(`agent${at}`, 'l', '01');
  a.registry.add('leaves', 'l', '01');
  await finds(b.registry, 'agent999', ['a 01']);
  await redis.kill();
  await until(() => b.registry.healthy, false);
  const began = performance.now();
  await complaint(b);
  assert.ok(performance.now() - began < 500, 'it waited for a dead Redis');
  a.registry.remove('leaves', 'l');
  a.registry.add('comes', 'l', '02');
  await redis.start();
  await until(() => a.registry.healthy && b.registry.healthy, true);
  await finds(b.registry, 'comes', ['a 02']);
  await finds(b.registry, 'agent0', ['a 01']);
  await finds(b.registry, 'agent999', ['a 01']);
  await finds(b.registry, 'leaves', []);
  await until(() => b.registry.size, 2);
});

test('Redis is emptied while it runs: a lookup that finds nobody has everybody write again', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const [a, b] = [0, 1].map(() => member(t, { redisUrl: redis.url }, LONG_LEASE_MS));
  assert.ok(a !== undefined && b !== undefined);
  await a.registry.start(relayInfo('a'));
  await b.registry.start(relayInfo('b'));
  a.registry.add('agent', 'l', '01');
  await finds(b.registry, 'agent', ['a 01']);
  // Until then an own look at the lease would come 20 s later.
  await sleep(1_100);
  await redis.cli('FLUSHALL');
  await finds(b.registry, 'agent', ['a 01']);
  await until(() => b.registry.size, 2);
});

test('Redis is emptied in the middle of a refresh: it is noticed all the same', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const [a, b] = [0, 1].map(() => member(t, { redisUrl: redis.url }, LONG_LEASE_MS));
  assert.ok(a !== undefined && b !== undefined);
  await a.registry.start(relayInfo('a'));
  await b.registry.start(relayInfo('b'));
  a.registry.add('agent', 'l', '01');
  await finds(b.registry, 'agent', ['a 01']);
  // Until the refreshes are over that the start of the other brings.
  await sleep(2_600);
  const run = a.client.run.bind(a.client);
  let emptied = false;
  t.mock.method(a.client, 'run', async (command: Parameters<typeof run>[0]) => {
    const answer = await run(command);
    // Its lease was renewed: with nothing behind it from now on.
    if (!emptied && /pexpire/.test(String(command))) {
      emptied = true;
      await redis.cli('FLUSHALL');
    }
    return answer;
  });
  await a.registry.relays();
  assert.ok(emptied);
  // Without anybody asking for it: an ordinary refresh would come after 20 s.
  await until(() => redis.cli('EXISTS', 'burrow:agent:agent'), '1');
  await finds(b.registry, 'agent', ['a 01']);
});

test('without any lookup an emptied Redis is noticed at the next refresh', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const a = member(t, { redisUrl: redis.url }, 3_000);
  await a.registry.start(relayInfo('a'));
  a.registry.add('agent', 'l', '01');
  await until(async () => (await redis.cli('HLEN', 'burrow:agent:agent')) === '1', true);
  await redis.cli('FLUSHALL');
  await until(async () => (await redis.cli('HLEN', 'burrow:agent:agent')) === '1', true);
});

test('a relay that slept through its lease, and was cleaned up after, writes itself again', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const info = relayInfo('a');
  const a = member(t, { redisUrl: redis.url }, 3_000);
  const b = member(t, { redisUrl: redis.url }, 1_500);
  await a.registry.start(info);
  await b.registry.start(relayInfo('b'));
  a.registry.add('agent', 'l', '01');
  await finds(b.registry, 'agent', ['a 01']);
  // As if its lease had ended: nobody else can tell the difference.
  await redis.cli('DEL', `{burrow:relays}:lease:${info.incarnation}`);
  await finds(b.registry, 'agent', []);
  await finds(b.registry, 'agent', ['a 01']);
  await until(() => b.registry.size, 2);
});

test('nothing of a dead relay stays in Redis', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const info = relayInfo('dead');
  const dead = member(t, { redisUrl: redis.url }, 600);
  const b = member(t, { redisUrl: redis.url }, 600);
  await dead.registry.start(info);
  await b.registry.start(relayInfo('b'));
  for (let at = 0; at < 700; at++) dead.registry.add(`agent${at}`, 'l', '01');
  b.registry.add('agent0', 'l2', '01');
  await finds(b.registry, 'agent699', ['dead 01']);
  dead.client.close();
  await until(async () => {
    const keys = (await redis.cli('KEYS', '*'))
      .split('\n')
      .map((key) => key.replace(/[0-9a-f]{32}$/, '*'));
    return keys.sort();
  }, ['burrow:agent:agent0', 'burrow:held:*', '{burrow:relays}', '{burrow:relays}:lease:*']);
  assert.equal(await redis.cli('HLEN', 'burrow:agent:agent0'), '1');
  assert.equal(await redis.cli('HLEN', '{burrow:relays}'), '1');
});

test('a Redis that takes a second for each answer is used all the same', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const line = await startSlowLine(redis.port, 0);
  t.after(() => line[Symbol.asyncDispose]());
  const redisUrl = `redis://127.0.0.1:${line.port}`;
  const [a, b] = [0, 1].map(() => member(t, { redisUrl }, LONG_LEASE_MS));
  assert.ok(a !== undefined && b !== undefined);
  await a.registry.start(relayInfo('a'));
  await b.registry.start(relayInfo('b'));
  line.delayMs = 1_000;
  const began = performance.now();
  a.registry.add('agent', 'l', '01');
  assert.ok(performance.now() - began < 50, 'adding waited');
  await finds(b.registry, 'agent', ['a 01']);
  assert.ok(b.registry.healthy);
  const asked = performance.now();
  await b.registry.find('agent', soon());
  assert.ok(performance.now() - asked < 3_000);
  line.delayMs = 0;
});

test('a Redis that hangs is given up within seconds, and used again once it goes on', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const a = member(t, { redisUrl: redis.url }, LONG_LEASE_MS);
  await a.registry.start(relayInfo('a'));
  redis.pause();
  t.after(() => redis.resume());
  const began = performance.now();
  const { message } = await complaint(a);
  assert.ok(performance.now() - began < 6_000);
  assert.match(message, /^Redis does not answer\./);
  assert.equal(a.registry.problem, 'Redis does not answer (Command timed out).');
  assert.equal(a.registry.healthy, false);
  redis.resume();
  await until(() => a.registry.healthy, true);
});

test('Redis takes no more clients: it is said, and heals', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  await redis.cli('CONFIG', 'SET', 'maxclients', '1');
  const blocker = member(t, { redisUrl: redis.url }, LONG_LEASE_MS);
  await blocker.registry.start(relayInfo('blocker'));
  const a = member(t, { redisUrl: redis.url }, LONG_LEASE_MS);
  await a.registry.start(relayInfo('a'));
  assert.match((await complaint(a)).message, /^Redis takes no more clients\./);
  await blocker.registry.stop();
  await eventually('there is room', async () => redis.cli('CONFIG', 'SET', 'maxclients', '100'));
  await until(() => a.registry.healthy, true);
});

/** Exactly what docs/operations.md tells operators to grant. */
const RULES =
  'resetchannels ~burrow:* ~{burrow:relays}* &burrow:changes -@all +del +hdel +hgetall +hset +info +mget +pexpire +ping +publish +sadd +set +srem +sscan +subscribe +time';

test('the documented access rules are enough, over TLS with its own authority', async (t) => {
  const { selfSignedCertificate } = await import('../../harness/certificate.ts');
  const { mkdtempSync, rmSync } = await import('node:fs');
  const folder = mkdtempSync('/tmp/burrow-redis-tls-');
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { certFile, keyFile } = await selfSignedCertificate(folder, 'redis.test');
  const redis = await startRedis({
    config: [
      'port 0',
      'tls-port %PORT%',
      `tls-cert-file ${certFile}`,
      `tls-key-file ${keyFile}`,
      'tls-auth-clients no',
      'user default on >a-secret-of-the-default ~* &* +@all',
      `user relay on >a-secret-of-the-relay ${RULES}`,
    ],
    cliArgs: ['--tls', '--cacert', certFile, '-a', 'a-secret-of-the-default'],
  });
  t.after(() => redis[Symbol.asyncDispose]());
  const redisUrl = `rediss://relay:a-secret-of-the-relay@127.0.0.1:${redis.port}`;
  const input = { redisUrl, redisCaFile: certFile };
  const dead = member(t, input, 600);
  const [a, b] = [0, 1].map(() => member(t, input, 600));
  assert.ok(a !== undefined && b !== undefined);
  await dead.registry.start(relayInfo('dead'));
  await a.registry.start(relayInfo('a'));
  await b.registry.start(relayInfo('b'));
  const heard: string[] = [];
  b.registry.onChange((agentId) => heard.push(agentId));
  dead.registry.add('agent', 'l', '01');
  a.registry.add('agent', 'l', '01');
  await finds(b.registry, 'agent', ['a 01', 'dead 01']);
  dead.client.close();
  await until(() => redis.cli('HLEN', '{burrow:relays}'), '2');
  await until(() => heard.includes('agent'), true);
  a.registry.remove('agent', 'l');
  await finds(b.registry, 'agent', []);
  assert.deepEqual([a.client.errors, b.client.errors], [0, 0]);
  assert.equal(await redis.cli('ACL', 'LOG'), '');

  await t.test('an authority that did not sign it is refused', async (t) => {
    const stranger = member(t, { redisUrl }, LONG_LEASE_MS);
    await stranger.registry.start(relayInfo('x'));
    assert.match(stranger.registry.problem ?? '', /self-signed certificate/);
  });
  await t.test('a wrong password is said, without it', async (t) => {
    const wrong = member(
      t,
      { ...input, redisUrl: `rediss://relay:not-the-password@127.0.0.1:${redis.port}` },
      LONG_LEASE_MS,
    );
    await wrong.registry.start(relayInfo('x'));
    const { message } = await complaint(wrong);
    assert.match(message, /^Redis refuses the relay's user or password\. /);
    assert.match(wrong.registry.problem ?? '', /\(WRONGPASS /);
    assert.doesNotMatch(
      JSON.stringify([message, wrong.registry.problem, wrong.lines]),
      /not-the-password/,
    );
  });
  await t.test('a missing right is named', async (t) => {
    await redis.cli('ACL', 'SETUSER', 'relay', '-hset');
    const c = member(t, input, LONG_LEASE_MS);
    await c.registry.start(relayInfo('c'));
    assert.match(c.registry.problem ?? '', /access rules .*NOPERM.*hset/);
    await redis.cli('ACL', 'SETUSER', 'relay', '+hset');
    await until(() => c.registry.healthy, true);
  });
});

test('in a Redis Cluster two more rights are enough, and a cluster that is down costs no processor time', async (t) => {
  const cluster = await startRedisCluster();
  for (const node of cluster.nodes) {
    const rules = `${RULES} +cluster|slots +cluster|info`.split(' ');
    await node.cli('ACL', 'SETUSER', 'relay', 'on', '>a-secret-of-the-relay', ...rules);
  }
  const redisUrl = cluster.url.replace('redis://', 'redis://relay:a-secret-of-the-relay@');
  const [a, b] = [0, 1].map(() => member(t, { redisUrl, redisCluster: true }, LONG_LEASE_MS));
  t.after(() => cluster[Symbol.asyncDispose]());
  assert.ok(a !== undefined && b !== undefined);
  await a.registry.start(relayInfo('a'));
  await b.registry.start(relayInfo('b'));
  const heard: string[] = [];
  b.registry.onChange((agentId) => heard.push(agentId));
  await sleep(200);
  a.registry.add('agent', 'l', '01');
  await finds(b.registry, 'agent', ['a 01']);
  await until(() => heard, ['agent']);
  a.registry.remove('agent', 'l');
  await finds(b.registry, 'agent', []);
  assert.deepEqual([a.client.errors, b.client.errors], [0, 0]);

  for (const node of cluster.nodes) await node.kill();
  const before = process.cpuUsage();
  await sleep(3_000);
  const { user, system } = process.cpuUsage(before);
  assert.ok((user + system) / 1000 < 500, `${(user + system) / 1000} ms of processor time in 3 s`);
});

test('the primary dies and a sentinel names another: everything is there again', async (t) => {
  const stand = await startRedisSentinel();
  t.after(() => stand[Symbol.asyncDispose]());
  const input = { redisUrl: 'redis://nobody.invalid:1', sentinels: [...stand.sentinels] };
  const [a, b] = [0, 1].map(() => member(t, input, LONG_LEASE_MS));
  assert.ok(a !== undefined && b !== undefined);
  await a.registry.start(relayInfo('a'));
  await b.registry.start(relayInfo('b'));
  a.registry.add('agent', 'l', '01');
  await finds(b.registry, 'agent', ['a 01']);
  const [first] = stand.servers;
  await first?.kill();
  a.registry.add('meanwhile', 'l', '02');
  await eventually('a new primary', async () => (await stand.primary()) !== first?.port);
  await until(() => [a.registry.problem, b.registry.problem], [undefined, undefined]);
  await finds(b.registry, 'agent', ['a 01']);
  await finds(b.registry, 'meanwhile', ['a 02']);
});

test('one node of a Redis Cluster loses what it held: it is told again', async (t) => {
  const cluster = await startRedisCluster();
  t.after(() => cluster[Symbol.asyncDispose]());
  const input = { redisUrl: cluster.url, redisCluster: true };
  const [a, b] = [0, 1].map(() => member(t, input, LONG_LEASE_MS));
  assert.ok(a !== undefined && b !== undefined);
  await a.registry.start(relayInfo('a'));
  await b.registry.start(relayInfo('b'));
  const agents = Array.from({ length: 12 }, (_, at) => `agent${at}`);
  for (const agentId of agents) a.registry.add(agentId, 'l', '01');
  for (const agentId of agents) await finds(b.registry, agentId, ['a 01']);
  for (const node of cluster.nodes) {
    await node.kill();
    await node.start();
    await eventually('the node is back', async () =>
      (await node.cli('CLUSTER', 'INFO')).includes('cluster_state:ok'),
    );
    for (const agentId of agents) {
      await eventually(`${agentId} is found`, async () => {
        const routes = await b.registry.find(agentId, soon());
        return routes.length === 1;
      });
    }
  }
});

test('two relays under one id are told apart in the log, once the lease of a dead one would have ended', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const [a, twin] = [0, 1].map(() => member(t, { redisUrl: redis.url }, 600));
  assert.ok(a !== undefined && twin !== undefined);
  const newer = relayInfo('same');
  await a.registry.start(relayInfo('same'));
  await twin.registry.start(newer);
  for (const one of [a, twin]) {
    await until(() => one.lines.filter(({ level }) => level === 'error').length, 1);
    const [line] = one.lines.filter(({ level }) => level === 'error');
    assert.match(line?.message ?? '', /two running relays call themselves same/);
    assert.equal(line?.fields['holdsTheName'], newer.incarnation);
  }
});

test('commands per second do not grow with the agents that are held', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const a = member(t, { redisUrl: redis.url }, 3_000);
  await a.registry.start(relayInfo('a'));
  const idle = async (): Promise<number> => {
    const total = async (): Promise<number> => {
      let sum = 0;
      for (const [name, calls] of await redis.calls()) if (name !== 'info') sum += calls;
      return sum;
    };
    const before = await total();
    await sleep(2_000);
    return (await total()) - before;
  };
  a.registry.add('first', 'l', '01');
  await until(async () => await redis.cli('HLEN', 'burrow:agent:first'), '1');
  const few = await idle();
  for (let at = 0; at < 5_000; at++) a.registry.add(`agent${at}`, 'l', '01');
  await until(async () => await redis.cli('SCARD', `burrow:held:${await incarnation()}`), '5001');
  await sleep(100);
  const many = await idle();
  // One refresh more or less: they come at times of their own.
  assert.ok(many <= few + 8, `${few} commands with 1 agent, ${many} with 5001`);
  t.diagnostic(`in 2 s with a lease of 3 s: ${few} commands with 1 agent, ${many} with 5001`);

  async function incarnation(): Promise<string> {
    return (await redis.cli('HKEYS', '{burrow:relays}')).trim();
  }
});
