import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { traceEventSchema, type TraceEvent } from '@burrow/api';
import type { RelayInfo } from '../routing/registry.ts';
import type { OtherRelays, TraceRequest, Tracing } from './contracts.ts';
import type { TraceLimits } from './limits.ts';
import type { ChannelRow } from './rows.ts';
import { createTracing } from './tracing.ts';

const UID = 'ab'.repeat(16);
const OTHER = `abab${'cd'.repeat(14)}`;
const at = '2026-01-01T00:00:00.000Z';
const onPeer = { at, relay: 'far', link: 'l1', with: 'agent' };

const watching = (...links: string[]): TraceEvent => ({
  ...{ event: 'watching', at, relay: 'far', channel: UID },
  attachments: links.map((link) => ({
    ...{ link, with: 'agent', epoch: 1, state: 'open', bytesToWorkload: 0, bytesToUser: 0 },
  })),
});

const row = (id: string): ChannelRow => ({
  ...{ id, agentId: 'a1', user: 'ann', kind: 'http', target: 'tcp 3000', edge: true, home: true },
  ...{ ageMs: 1, bytesToWorkload: 0, bytesToUser: 0, state: 'open', attachments: 1 },
});

/** One question for a trace that the other relay was asked, and its answer. */
interface Asked {
  readonly uid: string;
  readonly signal: AbortSignal;
  tell(event: TraceEvent): void;
  end(error: Error): void;
}

class FarRelay implements OtherRelays {
  readonly #asked: Asked[] = [];
  #waiting: ((asked: Asked) => void) | undefined;
  rows: ChannelRow[] = [row(UID)];
  readonly info: RelayInfo = { id: 'far', incarnation: 'i1', version: '1', peerUrl: 'http://peer' };

  async relays(): Promise<RelayInfo[]> {
    return [this.info];
  }

  async channels(): Promise<{ rows: ChannelRow[]; more: boolean }> {
    return { rows: this.rows, more: false };
  }

  trace: OtherRelays['trace'] = (_relay, { uid }, tell, signal) => {
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener('abort', () => reject(signal.reason as Error));
    const asked = { uid, signal, tell, end: reject };
    if (this.#waiting === undefined) this.#asked.push(asked);
    else this.#waiting(asked);
    this.#waiting = undefined;
    return promise;
  };

  async next(): Promise<Asked> {
    return this.#asked.shift() ?? new Promise((resolve) => (this.#waiting = resolve));
  }
}

function tracingOf(t: TestContext, limits: Partial<TraceLimits> = {}) {
  const far = new FarRelay();
  const tracing = createTracing({
    self: 'near',
    places: { links: () => [], detached: () => [] },
    others: far,
    agentOf: async (name) => (name === 'demo' ? 'a1' : undefined),
    workspacesOf: async () => new Map([['a1', 'demo']]),
    limits: { flushMs: 1, relookMs: 5, accessMs: 5, lingerMs: 5, ...limits },
  });
  t.after(() => tracing.stop());
  return { far, tracing };
}

/** What a watcher reads, event by event. */
class Watcher {
  readonly leaves = new AbortController();
  readonly request: TraceRequest;
  #lines: AsyncIterator<string> | undefined;

  constructor(over: Partial<TraceRequest> = {}) {
    const { signal } = this.leaves;
    this.request = { id: UID, data: true, mayWatch: async () => true, signal, ...over };
  }

  async open(tracing: Tracing) {
    const opened = await tracing.trace(this.request);
    const lines: Interface = createInterface({ input: opened.lines });
    this.#lines = lines[Symbol.asyncIterator]();
    return opened;
  }

  /** Undefined: it has ended. */
  async next(): Promise<TraceEvent | undefined> {
    const { value, done } = await this.#lines!.next();
    if (done === true) return undefined;
    return value === '' ? this.next() : traceEventSchema.parse(JSON.parse(value as string));
  }

  /** Skips what comes before. */
  async until<K extends TraceEvent['event']>(kind: K): Promise<Extract<TraceEvent, { event: K }>> {
    for (;;) {
      const event = await this.next();
      assert.ok(event !== undefined, `it ended before ${kind}`);
      if (event.event === kind) return event as Extract<TraceEvent, { event: K }>;
    }
  }
}

test('what all relays tell comes to the watcher, up to the end of the channel', async (t) => {
  const { far, tracing } = tracingOf(t);
  const watcher = new Watcher({ id: 'abab' });
  const opened = await watcher.open(tracing);
  assert.deepEqual([opened.id, opened.workspace, opened.user], [UID, 'demo', 'ann']);
  const asked = await far.next();
  assert.equal(asked.uid, UID);
  assert.equal((await watcher.next())?.relay, 'near');
  asked.tell(watching('l1'));
  asked.tell({ event: 'frame', ...onPeer, direction: 'sent', frame: 'Data', offset: 0, length: 5 });
  asked.tell({ event: 'over', at, relay: 'far', code: null, reason: 'Both sides have ended.' });
  // What other relays still have to say of it.
  asked.tell({ event: 'detached', ...onPeer, code: null, reason: 'Both sides have ended.' });
  const kinds = [];
  for (let event; (event = await watcher.next()) !== undefined;) kinds.push(event.event);
  assert.deepEqual(kinds, ['watching', 'frame', 'detached', 'over']);
  assert.equal(asked.signal.aborted, true);
});

test('a relay that does not tell is named once, asked again, and heard again', async (t) => {
  const { far, tracing } = tracingOf(t);
  const watcher = new Watcher();
  await watcher.open(tracing);
  for (let i = 0; i < 3; i += 1) (await far.next()).end(new Error('It sleeps.'));
  const asked = await far.next();
  asked.tell(watching());
  assert.equal((await watcher.until('away')).reason, 'It sleeps.');
  assert.equal((await watcher.next())?.event, 'watching');
  asked.end(new Error('It sleeps again.'));
  assert.equal((await watcher.next())?.event, 'away');
});

test('a watcher who leaves takes everything along, and makes room', async (t) => {
  const { far, tracing } = tracingOf(t, { traces: 1 });
  const watcher = new Watcher();
  const { lines } = await watcher.open(tracing);
  const asked = await far.next();
  await assert.rejects(tracing.trace(new Watcher().request), {
    code: 'too-many-requests',
    message: /^1 channels are traced/,
  });
  lines.destroy();
  await once(asked.signal, 'abort');
  const second = new Watcher();
  await second.open(tracing);
  const again = await far.next();
  second.leaves.abort();
  assert.equal(again.signal.aborted, true);
  await new Watcher().open(tracing);
});

test('who may not watch any more sees nothing more', async (t) => {
  const { far, tracing } = tracingOf(t);
  let may = (): Promise<boolean> => Promise.reject(new Error('The database is away.'));
  const watcher = new Watcher({ mayWatch: () => may() });
  await watcher.open(tracing);
  const asked = await far.next();
  asked.tell(watching('l1'));
  assert.equal((await watcher.until('watching')).relay, 'near');
  may = async () => false;
  assert.equal((await watcher.until('end')).code, 'access-lost');
  assert.equal(await watcher.next(), undefined);
  assert.equal(asked.signal.aborted, true);
});

test('a relay that shuts down ends its traces, and begins none', async (t) => {
  const { tracing } = tracingOf(t);
  const watcher = new Watcher();
  await watcher.open(tracing);
  tracing.drain();
  tracing.drain();
  assert.equal((await watcher.until('end')).code, 'draining');
  assert.equal(await watcher.next(), undefined);
  await assert.rejects(tracing.trace(new Watcher().request), { code: 'unavailable' });
});

test('a channel that is nowhere for long is given up', async (t) => {
  const { far, tracing } = tracingOf(t, { goneMs: 20 });
  const watcher = new Watcher();
  await watcher.open(tracing);
  const asked = await far.next();
  asked.tell(watching('l1'));
  asked.tell({ event: 'detached', ...onPeer, code: 'link-lost', reason: 'The cable was pulled.' });
  assert.equal((await watcher.until('end')).code, 'gone');
});

test('a channel that is opened anew is followed under its new id', async (t) => {
  const { far, tracing } = tracingOf(t);
  const watcher = new Watcher();
  await watcher.open(tracing);
  const asked = await far.next();
  asked.tell({ event: 'renamed', at, relay: 'far', id: OTHER });
  assert.equal((await watcher.until('renamed')).id, OTHER);
  assert.equal((await far.next()).uid, OTHER);
  assert.equal(asked.signal.aborted, true);
});

test('digits that name no channel, or several, are refused with what helps', async (t) => {
  const { far, tracing } = tracingOf(t);
  far.rows = [row(UID), row(OTHER)];
  await assert.rejects(tracing.trace(new Watcher({ id: 'abab' }).request), {
    code: 'conflict',
    message: new RegExp(`${UID}.*${OTHER}|${OTHER}.*${UID}`),
  });
  far.rows = [];
  await assert.rejects(tracing.trace(new Watcher({ id: 'abab' }).request), { code: 'not-found' });
  // It may be between two links just now.
  await new Watcher({ id: UID }).open(tracing);
});

test('other relays are told of so many channels, and no more', async (t) => {
  const { tracing } = tracingOf(t, { feeds: 1 });
  const lines = tracing.answers.feed({ uid: UID, data: true });
  assert.throws(() => tracing.answers.feed({ uid: UID, data: true }), {
    code: 'too-many-requests',
  });
  const [first] = (await once(lines, 'data')) as [Buffer];
  assert.equal((JSON.parse(String(first)) as TraceEvent).event, 'watching');
  lines.destroy();
  await once(lines, 'close');
  tracing.answers.feed({ uid: UID, data: true }).destroy();
});
