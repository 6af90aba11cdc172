// An opener whose link does not answer: it moves only to one that does, and stays where the answer comes after all,
// unless that link drains.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TunnelError } from '../errors.ts';
import type { Link, Resumable } from '../types.ts';
import { createResumer } from './resumer.ts';

interface FakeLink {
  readonly name: string;
  stats: { silent: boolean };
  draining: boolean;
}

function fakeChannel(link: FakeLink) {
  const channel = { link, detached: false, failed: undefined as TunnelError | undefined };
  return Object.assign(channel, {
    fail: (error: TunnelError) => void (channel.failed = error),
  }) as unknown as Resumable & { link: FakeLink; detached: boolean; failed?: TunnelError };
}

function stand() {
  const resumed: string[] = [];
  const link = (name: string, silent = false) => ({
    name,
    stats: { silent },
    draining: false,
    resume: (channel: { link: FakeLink; detached: boolean }) => {
      resumed.push(name);
      channel.link = known.get(name)!;
      channel.detached = true;
    },
  });
  const known = new Map<string, ReturnType<typeof link>>();
  for (const name of ['old', 'other', 'third']) known.set(name, link(name));
  const at = (name: string) => known.get(name)!;
  let asked = Promise.withResolvers<void>();
  const found: { name: string | undefined } = { name: 'old' };
  const resumer = createResumer({
    findLink: async () => {
      asked.resolve();
      return found.name === undefined ? undefined : (at(found.name) as unknown as Link);
    },
    windowMs: 5_000,
  });
  return {
    ...{ resumed, resumer, found, at },
    channel: fakeChannel(at('old')),
    look: async () => {
      asked = Promise.withResolvers();
      await Promise.race([asked.promise, sleep(5_000, undefined, { ref: false })]);
    },
  };
}

const until = async (what: () => boolean): Promise<void> => {
  const signal = AbortSignal.timeout(5_000);
  while (!what()) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

test('it waits for a link that answers, and asks only one at a time', async () => {
  const { resumer, channel, resumed, found, at, look } = stand();
  at('old').stats.silent = at('other').stats.silent = true;
  for (let i = 0; i < 5; i++) resumer.onSilent!(channel);
  await look();
  found.name = 'other';
  await look();
  assert.deepEqual(resumed, [], 'another that is silent is no better');
  at('other').stats.silent = false;
  await until(() => resumed.length > 0);
  assert.deepEqual(resumed, ['other']);
  resumer.onAttached!(channel);
  assert.equal(resumer.waiting, 0);
});

test('the answer comes: it stays', async () => {
  const { resumer, channel, resumed, at, look } = stand();
  at('old').stats.silent = true;
  resumer.onSilent!(channel);
  await look();
  at('old').stats.silent = false;
  await until(() => resumer.waiting === 0);
  assert.deepEqual(resumed, []);
  assert.equal(channel.failed, undefined);
});

test('where it moved to does not answer either: it goes on looking', async () => {
  const { resumer, channel, resumed, found, at } = stand();
  at('old').stats.silent = true;
  found.name = 'other';
  resumer.onSilent!(channel);
  await until(() => resumed.length === 1);
  at('other').stats.silent = true;
  at('old').stats.silent = false;
  found.name = 'old';
  resumer.onSilent!(channel);
  await until(() => resumed.length === 2);
  assert.deepEqual(resumed, ['other', 'old']);
});

test('a channel that has lost its link goes over a silent one rather than over none', async () => {
  const { resumer, channel, resumed, found, at } = stand();
  at('other').stats.silent = true;
  found.name = 'other';
  channel.detached = true;
  resumer.onDetached(channel, new TunnelError('link-lost', 'gone'));
  await until(() => resumed.length === 1);
  found.name = 'third';
  resumer.onSilent!(channel);
  await until(() => resumed.length === 2);
  assert.deepEqual(resumed, ['other', 'third'], 'and leaves it for one that answers');
});

for (const first of ['onSilent', 'onDraining'] as const) {
  test(`its link drains and did not answer for a while (${first} first): it leaves, though it answers again`, async () => {
    const { resumer, channel, resumed, found, at, look } = stand();
    found.name = undefined;
    at('old').stats.silent = true;
    resumer[first]!(channel);
    await look();
    resumer[first === 'onSilent' ? 'onDraining' : 'onSilent']!(channel);
    at('old').stats.silent = false;
    await look();
    await look();
    assert.equal(resumer.waiting, 1);
    found.name = 'other';
    await until(() => resumed.length > 0);
    assert.deepEqual(resumed, ['other']);
    resumer.onAttached!(channel);
    assert.equal(resumer.waiting, 0);
  });
}

test('a link that drains and answers is not left for one that does not', async () => {
  const { resumer, channel, resumed, found, at, look } = stand();
  at('other').stats.silent = true;
  found.name = 'other';
  resumer.onDraining!(channel);
  await look();
  await look();
  assert.deepEqual(resumed, []);
  found.name = 'third';
  await until(() => resumed.length > 0);
  assert.deepEqual(resumed, ['third']);
});

test('where it moved to is asked to end before it has arrived: it goes on from there', async () => {
  const { resumer, channel, resumed, found, at } = stand();
  found.name = 'other';
  resumer.onDraining!(channel);
  await until(() => resumed.length === 1);
  at('other').draining = true;
  found.name = 'third';
  resumer.onDraining!(channel);
  channel.detached = false;
  resumer.onAttached!(channel);
  await until(() => resumed.length === 2);
  assert.deepEqual(resumed, ['other', 'third']);
});
