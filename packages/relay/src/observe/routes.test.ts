import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import fastify from 'fastify';
import type { Link } from '@burrow/tunnel';
import { createMetrics } from './metrics.ts';
import { observeRoutes, type ObserveRoutesOptions } from './routes.ts';

function fakeLink(bytes: number): Link {
  return {
    id: 'l',
    closed: false,
    resumes: false,
    resume() {},
    draining: false,
    stats: {
      channels: 2,
      bytesIn: bytes,
      bytesOut: 2 * bytes,
      queuedBytes: 0,
      stalls: 1,
      rttMs: 4,
      bulk: false,
      silent: false,
    },
    open: () => {
      throw new Error('not used');
    },
    drain() {},
    close() {},
  };
}

function metricsOf(links: Link[]) {
  return createMetrics({
    links: () => links,
    agents: () => 1,
    waiting: () => 0,
    resuming: () => 0,
    connections: () => 3,
    databaseHealthy: () => true,
    sshSignedIn: () => 0,
    draining: () => false,
  });
}

async function serve(t: TestContext, over: Partial<ObserveRoutesOptions> = {}) {
  const app = fastify({ trustProxy: true });
  await app.register(
    observeRoutes({
      readiness: () => ({ ready: true, parts: {} }),
      registry: metricsOf([]).registry,
      metricsToken: undefined,
      ...over,
    }),
  );
  t.after(() => app.close());
  return (url: string, headers: Record<string, string> = {}) => app.inject({ url, headers });
}

test('not ready is 503 and names the part', async (t) => {
  const get = await serve(t, {
    readiness: () => ({ ready: false, parts: { database: 'does not answer' } }),
  });
  const answer = await get('/readyz');
  assert.equal(answer.statusCode, 503);
  assert.deepEqual(answer.json(), { status: 'not ready', parts: { database: 'does not answer' } });
  assert.equal((await get('/healthz')).statusCode, 200);
});

test('without a token, metrics are for loopback: every hop of it', async (t) => {
  const get = await serve(t);
  assert.equal((await get('/metrics')).statusCode, 200);
  assert.equal((await get('/metrics', { 'x-forwarded-for': '127.0.0.1' })).statusCode, 200);
  for (const hops of ['203.0.113.1', '127.0.0.1, 203.0.113.1', '203.0.113.1, 127.0.0.1']) {
    assert.equal((await get('/metrics', { 'x-forwarded-for': hops })).statusCode, 401, hops);
  }
});

test('with a token, loopback alone is not enough', async (t) => {
  const get = await serve(t, { metricsToken: 'the-right-token-here' });
  assert.equal((await get('/metrics')).statusCode, 401);
  assert.equal(
    (await get('/metrics', { authorization: 'Bearer the-right-token-hera' })).statusCode,
    401,
  );
  const right = await get('/metrics', {
    authorization: 'Bearer the-right-token-here',
    'x-forwarded-for': '203.0.113.1',
  });
  assert.equal(right.statusCode, 200);
});

test('metrics can be switched off', async (t) => {
  const get = await serve(t, { registry: undefined });
  assert.equal((await get('/metrics')).statusCode, 404);
});

test('totals go on when a link is gone', async () => {
  const links = [fakeLink(100), fakeLink(10)];
  const metrics = metricsOf(links);
  const read = async (name: string): Promise<string | undefined> =>
    new RegExp(`^${name} (\\S+)$`, 'm').exec(await metrics.registry.metrics())?.[1];
  assert.equal(await read('burrow_links'), '2');
  assert.equal(await read('burrow_channels'), '4');
  assert.equal(await read('burrow_link_received_bytes_total'), '110');
  const gone = links.pop() as Link;
  metrics.linkClosed(gone, 'link-lost');
  assert.equal(await read('burrow_link_received_bytes_total'), '110');
  assert.equal(await read('burrow_link_sent_bytes_total'), '220');
  assert.equal(await read('burrow_flow_control_stalls_total'), '2');
  assert.equal(await read('burrow_links_closed_total\\{code="link-lost"\\}'), '1');
  assert.equal(await read('burrow_link_rtt_seconds\\{quantile="0.5"\\}'), '0.004');
});

test('every metric of ours has the prefix', async () => {
  for (const { name } of await metricsOf([]).registry.getMetricsAsJSON())
    assert.match(name, /^burrow_/);
});

test('docs/operations.md names every metric of ours', async () => {
  const text = readFileSync(new URL('../../../../docs/operations.md', import.meta.url), 'utf8');
  for (const { name } of await metricsOf([]).registry.getMetricsAsJSON()) {
    if (/^burrow_(nodejs|process)_/.test(name)) continue;
    assert.ok(new RegExp(`\\b${name}\\b`).test(text), name);
  }
});
