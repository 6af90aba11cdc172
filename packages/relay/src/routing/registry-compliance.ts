import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Registry, RelayInfo } from './registry.ts';

/** A kind of registry, and a store that all of a stand's registries share. */
export interface RegistryStand {
  /** Another member, not yet started. Stopped with the test. */
  create(): Registry;
  /** The process of this member ends without a word. Resolves once its lease has ended. */
  kill(registry: Registry, incarnation: string): Promise<void>;
}

/** The next thing that a store's answer brings may take this long, ms. */
const WITHIN_MS = 15_000;

export function relayInfo(id: string): RelayInfo {
  return {
    id,
    incarnation: randomBytes(16).toString('hex'),
    peerUrl: 'http://127.0.0.1:1',
    version: '0.0.0',
  };
}

/** `find` until its answer is as expected: what others write arrives in the background. */
export async function finds(
  registry: Registry,
  agentId: string,
  expected: readonly string[],
): Promise<void> {
  await until(
    async () => {
      const routes = await registry.find(agentId, AbortSignal.timeout(WITHIN_MS));
      return routes.map(({ relay, instanceId }) => `${relay.id} ${instanceId}`).sort();
    },
    [...expected].sort(),
  );
}

export async function until<T>(read: () => T | Promise<T>, expected: T): Promise<void> {
  const end = Date.now() + WITHIN_MS;
  for (;;) {
    const found = await read();
    try {
      assert.deepEqual(found, expected);
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await sleep(10);
  }
}

/** What every registry does, run over each kind. */
export function registryCompliance(
  kind: string,
  stand: (t: TestContext) => Promise<RegistryStand>,
): void {
  const members = async (
    t: TestContext,
    ...ids: string[]
  ): Promise<{ registries: Registry[]; infos: RelayInfo[]; stand: RegistryStand }> => {
    const made = await stand(t);
    const infos = ids.map(relayInfo);
    const registries = infos.map(() => made.create());
    for (const [at, registry] of registries.entries()) {
      await registry.start(infos[at] as RelayInfo);
    }
    return { registries, infos, stand: made };
  };
  const it = (what: string, run: (t: TestContext) => Promise<void>): void => {
    void test(`${kind}: ${what}`, { timeout: 60_000 }, run);
  };

  it('an agent is found from the others, and not from where it is', async (t) => {
    const { registries, infos } = await members(t, 'a', 'b', 'c');
    const [a, b, c] = registries as [Registry, Registry, Registry];
    a.add('agent', 'l1', '01');
    await finds(b, 'agent', ['a 01']);
    await finds(c, 'agent', ['a 01']);
    await finds(a, 'agent', []);
    await finds(b, 'nobody', []);
    const [route] = await b.find('agent', AbortSignal.timeout(WITHIN_MS));
    assert.deepEqual({ ...route?.relay, startedAt: 0 }, { ...infos[0], startedAt: 0 });
  });

  it('several relays hold one agent, each is told once', async (t) => {
    const { registries } = await members(t, 'a', 'b', 'c');
    const [a, b, c] = registries as [Registry, Registry, Registry];
    a.add('agent', 'l1', '01');
    a.add('agent', 'l2', '01');
    b.add('agent', 'l3', '01');
    await finds(c, 'agent', ['a 01', 'b 01']);
    await finds(a, 'agent', ['b 01']);
  });

  it('removal is about one link: an old one does not take a new one along', async (t) => {
    const { registries } = await members(t, 'a', 'b');
    const [a, b] = registries as [Registry, Registry];
    a.add('agent', 'old', '01');
    await finds(b, 'agent', ['a 01']);
    a.add('agent', 'new', '02');
    a.remove('agent', 'old');
    a.remove('agent', 'old');
    a.remove('agent', 'unknown');
    await finds(b, 'agent', ['a 02']);
    a.remove('agent', 'new');
    await finds(b, 'agent', []);
  });

  it('what comes and goes at once leaves nothing; what goes and comes is there', async (t) => {
    const { registries } = await members(t, 'a', 'b');
    const [a, b] = registries as [Registry, Registry];
    a.add('flash', 'l', '01');
    a.remove('flash', 'l');
    a.add('back', 'l', '01');
    a.remove('back', 'l');
    a.add('back', 'l', '01');
    a.add('last', 'l', '01');
    await finds(b, 'last', ['a 01']);
    await finds(b, 'flash', []);
    await finds(b, 'back', ['a 01']);
  });

  it('links that were there before the start are told with it', async (t) => {
    const made = await stand(t);
    const [a, b] = [made.create(), made.create()];
    a.add('early', 'l', '01');
    await a.start(relayInfo('a'));
    await b.start(relayInfo('b'));
    await finds(b, 'early', ['a 01']);
  });

  it('the entries of a dead relay die together', async (t) => {
    const { registries, infos, stand: made } = await members(t, 'a', 'b');
    const [a, b] = registries as [Registry, Registry];
    for (const agentId of ['x', 'y', 'z']) a.add(agentId, 'l', '01');
    for (const agentId of ['x', 'y', 'z']) await finds(b, agentId, ['a 01']);
    await made.kill(a, infos[0]?.incarnation ?? '');
    for (const agentId of ['x', 'y', 'z']) await finds(b, agentId, []);
    await until(() => b.size, 1);
  });

  it('of two incarnations of one relay the newer has the name; entries belong to each', async (t) => {
    const { registries, infos, stand: made } = await members(t, 'a', 'b');
    const [a, b] = registries as [Registry, Registry];
    a.add('agent', 'l', '01');
    const again = made.create();
    const next = relayInfo('a');
    await again.start(next);
    again.add('agent', 'l', '02');
    await finds(b, 'agent', ['a 01', 'a 02']);
    const named = await b.relays();
    assert.deepEqual(
      named.map(({ id, incarnation }) => [id, incarnation]),
      [
        ['a', next.incarnation],
        ['b', infos[1]?.incarnation],
      ],
    );
    await until(() => b.size, 2);
    a.remove('agent', 'l');
    await finds(b, 'agent', ['a 02']);
  });

  it('everybody hears of agents that come and go, until they no longer listen', async (t) => {
    const { registries } = await members(t, 'a', 'b');
    const [a, b] = registries as [Registry, Registry];
    const heard: string[] = [];
    const unsubscribe = b.onChange((agentId) => heard.push(agentId));
    // A subscription may take a moment; what is said before it is lost, and polls are for that.
    await until(async () => {
      a.add('warm', 'l', '01');
      a.remove('warm', 'l');
      await sleep(20);
      return heard.length > 0;
    }, true);
    await sleep(50);
    heard.length = 0;
    a.add('agent', 'l1', '01');
    await until(() => heard.join(), 'agent');
    a.add('agent', 'l2', '01');
    a.remove('agent', 'l1');
    a.remove('agent', 'l2');
    await until(() => heard.filter((one) => one === 'agent').length, 2);
    unsubscribe();
    a.add('agent', 'l3', '01');
    await finds(b, 'agent', ['a 01']);
    assert.equal(heard.length, 2);
  });

  it('a relay that stops takes its entries and itself away, twice if asked to', async (t) => {
    const { registries } = await members(t, 'a', 'b');
    const [a, b] = registries as [Registry, Registry];
    a.add('agent', 'l', '01');
    await finds(b, 'agent', ['a 01']);
    await until(() => b.size, 2);
    await Promise.all([a.stop(), a.stop()]);
    await finds(b, 'agent', []);
    await until(() => b.size, 1);
    a.add('late', 'l', '01');
    a.remove('late', 'l');
  });

  it('a lookup ends with its signal', async (t) => {
    const { registries } = await members(t, 'a');
    const reason = new Error('no more');
    await assert.rejects(
      registries[0]?.find('agent', AbortSignal.abort(reason)) as Promise<never>,
      reason,
    );
  });

  it('whatever comes and goes, in the end the others find what is there', async (t) => {
    const { registries } = await members(t, 'a', 'b', 'watcher');
    const [a, b, watcher] = registries as [Registry, Registry, Registry];
    let round = 0;
    const step = fc.record({
      at: fc.constantFrom('a', 'b'),
      add: fc.boolean(),
      agent: fc.constantFrom('x', 'y'),
      link: fc.constantFrom('l1', 'l2', 'l3'),
      instance: fc.constantFrom('01', '02'),
      wait: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        round += 1;
        const truth = new Map<string, Map<string, string>>();
        for (const { at, add, agent, link, instance, wait } of steps) {
          const agentId = `${agent}${round}`;
          const key = `${at} ${agentId}`;
          const links = truth.get(key) ?? new Map<string, string>();
          truth.set(key, links);
          // One instance at a time: that is the links room's work.
          const now = links.values().next().value ?? instance;
          const registry = at === 'a' ? a : b;
          if (add) registry.add(agentId, link, now);
          else registry.remove(agentId, link);
          if (add) links.set(link, now);
          else links.delete(link);
          if (wait) await sleep(1);
        }
        for (const agent of ['x', 'y']) {
          const expected = ['a', 'b'].flatMap((at) => {
            const instance = truth.get(`${at} ${agent}${round}`)?.values().next().value;
            return instance === undefined ? [] : [`${at} ${instance}`];
          });
          await finds(watcher, `${agent}${round}`, expected);
        }
      }),
      { numRuns: 25 },
    );
  });
}
