import { PassThrough, type Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TraceEvent } from '@burrow/api';
import type { RelayInfo } from '../routing/registry.ts';
import type { FeedRequest, OtherRelays, TraceRequest } from './contracts.ts';
import type { TraceLimits } from './limits.ts';
import { LineQueue } from './line-queue.ts';
import { pump } from './pump.ts';

export interface ClusterTraceOptions extends Pick<TraceRequest, 'mayWatch' | 'signal'> {
  readonly uid: string;
  readonly data: boolean;
  /** This relay's id. */
  readonly self: string;
  /** What this relay itself tells. */
  readonly own: (what: FeedRequest, tell: (event: TraceEvent) => void) => () => void;
  readonly others: OtherRelays | undefined;
  readonly limits: TraceLimits;
  readonly onEnd: () => void;
}

type End = Extract<TraceEvent, { event: 'over' | 'end' }>;

/** One channel as all relays see it, on its way to one watcher. */
export class ClusterTrace {
  readonly lines: Readable;
  readonly #options: ClusterTraceOptions;
  readonly #queue: LineQueue;
  readonly #finish: () => void;
  readonly #stopped = new AbortController();
  /** What each relay tells of the uid that is watched now. */
  #feeds = new AbortController();
  #uid: string;
  readonly #asked = new Map<string, Promise<void>>();
  /** Relays that were said to be away: said once. */
  readonly #away = new Set<string>();
  /** Links that have the channel, by relay. */
  readonly #attached = new Map<string, Set<string>>();
  #nowhereSince: number | undefined;
  #ending = false;

  constructor(options: ClusterTraceOptions) {
    const { limits, self } = options;
    this.#options = options;
    this.#uid = options.uid;
    this.#queue = new LineQueue(limits, (count) => ({ event: 'lost', ...this.#where(), count }));
    const lines = new PassThrough();
    this.lines = lines;
    this.#finish = pump(this.#queue, lines, {
      flushMs: limits.flushMs,
      idle: { line: '', everyMs: limits.keepAliveMs },
    });
    lines.once('close', () => this.#stop());
    options.signal.addEventListener('abort', () => this.#stop(), { once: true });
    this.#begin(self);
    void this.#look().catch(() => {});
    void this.#watchAccess().catch(() => {});
  }

  end(code: Extract<TraceEvent, { event: 'end' }>['code'], reason: string): void {
    this.#end({ event: 'end', ...this.#where(), code, reason });
  }

  #where(): { at: string; relay: string } {
    return { at: new Date().toISOString(), relay: this.#options.self };
  }

  #begin(self: string): void {
    const what = { uid: this.#uid, data: this.#options.data };
    const { signal } = this.#feeds;
    const stop = this.#options.own(what, (event) => {
      if (!signal.aborted) this.#take(self, event);
    });
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  }

  #take(relay: string, event: TraceEvent): void {
    if (this.#stopped.signal.aborted) return;
    if (event.event === 'over') return this.#end(event);
    this.#queue.push(event);
    if (event.event === 'renamed') return this.#follow(event.id);
    this.#count(relay, event);
  }

  /** Where the channel is attached, so that one that is nowhere any more is noticed. */
  #count(relay: string, event: TraceEvent): void {
    if (event.event === 'watching') {
      this.#attached.set(relay, new Set(event.attachments.map(({ link }) => link)));
    } else if (event.event === 'attached') {
      const links = this.#attached.get(relay) ?? new Set();
      this.#attached.set(relay, links.add(event.link));
    } else if (event.event === 'detached') this.#attached.get(relay)?.delete(event.link);
    else return;
    this.#recount();
  }

  #recount(): void {
    const somewhere = [...this.#attached.values()].some(({ size }) => size > 0);
    if (somewhere) this.#nowhereSince = undefined;
    else this.#nowhereSince ??= performance.now();
  }

  #follow(uid: string): void {
    this.#uid = uid;
    this.#feeds.abort();
    this.#feeds = new AbortController();
    this.#asked.clear();
    this.#attached.clear();
    // Not from inside a link's work.
    setImmediate(() => {
      if (this.#stopped.signal.aborted) return;
      this.#begin(this.#options.self);
      void this.#ask().catch(() => {});
    });
  }

  async #look(): Promise<void> {
    const { limits } = this.#options;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await this.#ask();
      const since = this.#nowhereSince;
      if (since !== undefined && performance.now() - since >= limits.goneMs) {
        this.end('gone', 'No relay has had the channel for a while: its opener did not come back.');
      }
      await sleep(limits.relookMs, undefined, { signal, ref: false });
    }
  }

  /** Those relays that do not tell yet. */
  async #ask(): Promise<void> {
    const { others, limits } = this.#options;
    if (others === undefined || this.#ending) return;
    let relays: readonly RelayInfo[] = [];
    try {
      relays = (await others.relays()).slice(0, limits.relays);
    } catch {
      // The registry is away: those who tell go on.
    }
    const { signal } = this.#feeds;
    for (const relay of relays) {
      if (this.#asked.has(relay.incarnation)) continue;
      this.#asked.set(relay.incarnation, this.#hear(others, relay, signal));
    }
  }

  /** Never rejects. */
  async #hear(others: OtherRelays, relay: RelayInfo, feeds: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([feeds, this.#stopped.signal]);
    const what = { uid: this.#uid, data: this.#options.data };
    let reason = '';
    try {
      const tell = (event: TraceEvent): void => {
        if (signal.aborted) return;
        this.#away.delete(relay.id);
        this.#take(relay.id, event);
      };
      await others.trace(relay, what, tell, signal);
    } catch (error) {
      reason = (error as Error).message;
    }
    if (signal.aborted) return;
    this.#asked.delete(relay.incarnation);
    this.#attached.delete(relay.id);
    this.#recount();
    if (this.#away.has(relay.id)) return;
    this.#away.add(relay.id);
    this.#queue.push({ event: 'away', ...this.#where(), relay: relay.id, reason });
  }

  async #watchAccess(): Promise<void> {
    const { limits, mayWatch } = this.#options;
    const { signal } = this.#stopped;
    for (;;) {
      await sleep(limits.accessMs, undefined, { signal, ref: false });
      // The database is in trouble: nobody said no.
      if (await mayWatch().catch(() => true)) continue;
      this.end('access-lost', 'You may not look at channels any more.');
      return;
    }
  }

  #end(last: End): void {
    if (this.#ending) return;
    this.#ending = true;
    const { limits } = this.#options;
    const end = (): void => {
      this.#queue.push(last);
      this.#finish();
      this.#stop();
    };
    // Other relays have the same end still to tell.
    if (last.event === 'over') setTimeout(end, limits.lingerMs).unref();
    else end();
  }

  #stop(): void {
    if (this.#stopped.signal.aborted) return;
    this.#stopped.abort();
    this.#feeds.abort();
    this.#finish();
    this.#options.onEnd();
  }
}
