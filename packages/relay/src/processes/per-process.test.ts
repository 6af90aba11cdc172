import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema, type ConfigInput } from '../config/schema.ts';
import { checkForProcesses, configOfProcess, processCount } from './per-process.ts';

const several = {
  processes: 2,
  listen: { port: 8150 },
  database: { url: 'postgres://burrow@127.0.0.1/burrow' },
  cluster: { redisUrl: 'redis://127.0.0.1', secret: 'x'.repeat(32), relayId: 'one' },
} satisfies ConfigInput;

test('processes share the ports, and have an id and a peer port of their own', () => {
  const config = configSchema.parse({
    ...several,
    cluster: { ...several.cluster, peer: { port: 9000, url: 'http://relay.internal:9100' } },
  });
  checkForProcesses(config);
  const [first, third] = [configOfProcess(config, 1), configOfProcess(config, 3)];
  assert.deepEqual([first.listen.port, first.listen.reusePort], [8150, true]);
  assert.deepEqual([first.cluster.relayId, third.cluster.relayId], ['one.1', 'one.3']);
  assert.deepEqual([first.cluster.peer.port, third.cluster.peer.port], [9000, 9002]);
  assert.deepEqual(
    [first.cluster.peer.url, third.cluster.peer.url],
    ['http://relay.internal:9100', 'http://relay.internal:9102'],
  );
});

test('several are refused where they could not find each other', () => {
  const config = configSchema.parse({ processes: 4, listen: { port: 0 } });
  assert.throws(() => checkForProcesses(config), {
    code: 'config-invalid',
    message: /needs cluster\.redisUrl .*database\.url .*a fixed listen\.port$/,
  });
});

test('auto is one for each core, and text is a number', () => {
  assert.ok(processCount(configSchema.parse({ processes: 'auto' })) >= 1);
  assert.equal(processCount(configSchema.parse({ processes: '3' })), 3);
  assert.equal(processCount(configSchema.parse({})), 1);
  for (const processes of [0, 65, 'many']) {
    assert.equal(configSchema.safeParse({ processes }).success, false);
  }
});
