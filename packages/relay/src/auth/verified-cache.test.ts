import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VerifiedCache } from './verified-cache.ts';

const make = (capacity = 10) =>
  new VerifiedCache<{ id: string }>({ capacity, ttlMs: 1000, now: () => 0 });

test('a look-up under way during a drop is not remembered', async () => {
  const cache = make();
  const gate = Promise.withResolvers<{ id: string } | undefined>();
  const early = cache.get('k', () => gate.promise);
  cache.drop(() => true);
  const late = cache.get('k', () => Promise.resolve(undefined));
  gate.resolve({ id: 'revoked' });
  assert.deepEqual(await early, { id: 'revoked' });
  assert.equal(await late, undefined);
  assert.equal(await cache.get('k', () => Promise.resolve(undefined)), undefined);
});

test('many look-ups of one key at once are one', async () => {
  const cache = make();
  let loads = 0;
  const load = () => {
    loads += 1;
    return Promise.resolve({ id: 'x' });
  };
  await Promise.all([cache.get('k', load), cache.get('k', load), cache.get('k', load)]);
  assert.equal(loads, 1);
});

test('a failed look-up is tried again', async () => {
  const cache = make();
  await assert.rejects(async () => cache.get('k', () => Promise.reject(new Error('locked'))));
  assert.deepEqual(await cache.get('k', () => Promise.resolve({ id: 'x' })), { id: 'x' });
});

test('the memory is bounded', async () => {
  const cache = make(3);
  for (let i = 0; i < 100; i += 1) await cache.get(`k${i}`, () => Promise.resolve({ id: `${i}` }));
  assert.equal(cache.size, 3);
});
