import { TunnelError, type Channel, type Link, type WelcomeInfo } from '@burrow/tunnel';
import type { Log } from '../log.ts';
import { BackOff, STABLE_MS } from './back-off.ts';
import type { Clock } from './clock.ts';
import { PoolLink, type PoolLinkEvents } from './pool-link.ts';
import { busy, IDLE_MS, spare, SPREAD_TRIES } from './pool-rules.ts';
import type { TransportDialled } from './transports.ts';

export interface PoolOptions {
  /** One dial, whatever the transport; bounded by itself. */
  readonly dial: (handler: PoolLink, signal: AbortSignal) => Promise<TransportDialled>;
  readonly onChannel: (channel: Channel) => void;
  /** The relay said that no retry can help. Called at most once; the pool has stopped. */
  readonly onFatal: (error: TunnelError) => void;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: () => number;
  /** Override what `Welcome` says. */
  readonly minLinks?: number | undefined;
  readonly maxLinks?: number | undefined;
}

const DEFAULT_MIN = 2;
const DEFAULT_MAX = 8;
const TICK_MS = 5000;
/** A channel that was on its way when we said Drain gets so long to arrive. */
const LEAVE_GRACE_MS = 1000;
/** Looking at a link's load costs time that grows with its channels: not more often than this. */
const LOOK_EVERY_MS = 250;
/** Links above the maximum, where none of the others answers. The relay has room for replaced ones. */
const BEYOND_MAX = 1;
/** The relay has enough links of ours: no more for so long. */
const REFUSED_MS = 60_000;

/**
 * Keeps enough links to the relays: at least two, more while they are busy,
 * fewer when idle, to different relays where there are several. Dials are made
 * one after another, so that a relay in trouble meets one dial per agent.
 */
export class LinkPool implements PoolLinkEvents {
  readonly #options: PoolOptions;
  readonly #backOff: BackOff;
  readonly #links = new Set<PoolLink>();
  readonly #abort = new AbortController();
  #welcome: WelcomeInfo | undefined;
  #dialling = false;
  #cancelRetry: (() => void) | undefined;
  #cancelTick: (() => void) | undefined;
  /** Links beyond the minimum that business asked for. */
  #extra = 0;
  #spareSince: number | undefined;
  #spreadTries = SPREAD_TRIES;
  #refusedUntil = 0;
  /** Since then there has been a link, though not always the same. Clock ms. */
  #upSince = 0;
  #lookedAt = -Infinity;
  #stopping = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#backOff = new BackOff(options.random, () => options.clock.now());
  }

  start(): void {
    this.#tick();
    this.#fill();
  }

  /** Links in service. */
  get live(): readonly Link[] {
    const live: Link[] = [];
    for (const { link, leaving } of this.#links) if (link && !leaving) live.push(link);
    return live;
  }

  /** Asks the relays to open nothing new and to let go within the deadline. Dials no more. */
  drain(deadlineMs: number, reason: string): void {
    this.#stopDialling();
    for (const { link } of this.#links) link?.drain(deadlineMs, reason);
  }

  /** Ends every link now. Idempotent. */
  stop(error: TunnelError): void {
    this.#stopDialling();
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    for (const entry of this.#links) entry.link?.close(error);
    this.#links.clear();
  }

  #stopDialling(): void {
    this.#stopping = true;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#abort.abort(new TunnelError('cancelled', 'The agent stops'));
  }

  // ---- events of links ----

  onChannel(channel: Channel): void {
    this.#options.onChannel(channel);
    const now = this.#options.clock.now();
    if (now - this.#lookedAt < LOOK_EVERY_MS || this.#extra >= this.#max - this.#min) return;
    this.#lookedAt = now;
    if (busy(this.live)) this.#grow();
  }

  onDrain(entry: PoolLink, deadlineMs: number, reason: string): void {
    this.#options.log.info('relay-drains', {
      relay: entry.welcome?.relayId,
      deadlineMs,
      message: reason,
    });
    this.#leave(entry);
    this.#spreadTries = SPREAD_TRIES;
    this.#cutOffAfterGoodTimes();
    this.#fill();
  }

  onClose(entry: PoolLink, error: TunnelError): void {
    if (!entry.link || !this.#links.delete(entry)) return;
    if (this.#stopping) return;
    if (this.#fatal(error)) return;
    const livedMs = this.#options.clock.now() - entry.since;
    this.#spreadTries = SPREAD_TRIES;
    if (!entry.leaving) {
      this.#oneBeyondLess();
      this.#cutOffAfterGoodTimes();
    }
    // A link that was leaving is no loss: its replacement was dialled at once.
    const wait = entry.leaving || this.#cancelRetry ? undefined : this.#backOff.afterLoss(livedMs);
    this.#options.log[entry.leaving ? 'info' : 'warn']('link-lost', {
      relay: entry.welcome?.relayId,
      code: error.code,
      message: error.message,
      links: this.live.length,
      retryInMs: wait,
    });
    if (wait !== undefined) this.#retryIn(wait);
    this.#fill();
  }

  /**
   * No link is left that stays, and there has been one for long enough: people are or will be cut off, so a wait
   * that was meant for a link more, or that grew while links came and went (relays spread them anew), must not go on.
   */
  #cutOffAfterGoodTimes(): void {
    if (this.live.length > 0 || this.#options.clock.now() - this.#upSince < STABLE_MS) return;
    this.#backOff.reset();
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }

  // ---- dialling ----

  get #min(): number {
    const { minLinks } = this.#options;
    return clamp(minLinks ?? (this.#welcome?.minLinks || DEFAULT_MIN), 1, this.#max);
  }

  get #max(): number {
    const relay = this.#welcome?.maxLinks || DEFAULT_MAX;
    return Math.max(1, Math.min(this.#options.maxLinks ?? relay, relay));
  }

  /** Links that should be there now. */
  get #wanted(): number {
    return clamp(this.#min + this.#extra, 1, this.#max + BEYOND_MAX);
  }

  /** A cluster has a relay that no link reaches yet, and there is hope to meet it. */
  get #shouldSpread(): boolean {
    const cluster = this.#welcome?.clusterSize ?? 1;
    if (cluster < 2 || this.#spreadTries === 0) return false;
    return this.#relays().size < Math.min(cluster, this.#wanted);
  }

  #relays(): Set<string> {
    const relays = new Set<string>();
    for (const { welcome, leaving } of this.#links)
      if (welcome && !leaving) relays.add(welcome.relayId);
    return relays;
  }

  #fill(): void {
    if (this.#stopping || this.#dialling || this.#cancelRetry) return;
    const live = this.live.length;
    if (live < this.#wanted) {
      if (live > 0 && this.#options.clock.now() < this.#refusedUntil) return;
    } else if (!this.#shouldSpread) {
      return;
    } else {
      this.#spreadTries -= 1;
    }
    void this.#dial();
  }

  async #dial(): Promise<void> {
    const { clock, log } = this.#options;
    this.#dialling = true;
    const entry = new PoolLink(this);
    try {
      const dialled = await this.#options.dial(entry, this.#abort.signal);
      this.#dialling = false;
      entry.link = dialled.link;
      entry.welcome = dialled.welcome;
      entry.transport = dialled.transport;
      entry.since = clock.now();
      if (this.#links.size === 0) this.#upSince = entry.since;
      this.#links.add(entry);
      if (this.#stopping) {
        dialled.link.close(new TunnelError('cancelled', 'The agent stops'));
        return;
      }
      if (entry.closedBy) return this.onClose(entry, entry.closedBy);
      this.#linked(entry, dialled.welcome);
    } catch (error) {
      this.#dialling = false;
      if (!this.#stopping) this.#failed(toTunnelError(error));
      return;
    }
    log.debug('pool', { links: this.live.length, wanted: this.#wanted });
    this.#fill();
  }

  #linked(entry: PoolLink, welcome: WelcomeInfo): void {
    this.#welcome = welcome;
    this.#options.log.info('linked', {
      relay: welcome.relayId,
      relaySoftware: welcome.software,
      transport: entry.transport,
      workload: welcome.workload,
      links: this.live.length,
    });
    // One more than wanted: it was dialled to meet another relay.
    if (this.live.length > this.#wanted) this.#leaveDuplicate(entry);
  }

  #failed(error: TunnelError): void {
    if (this.#fatal(error)) return;
    if (error.code === 'too-many-links') {
      this.#refusedUntil = this.#options.clock.now() + REFUSED_MS;
      this.#extra = 0;
    }
    const wait = this.#backOff.afterFailure();
    this.#options.log.warn('dial-failed', {
      code: error.code,
      message: error.message,
      links: this.live.length,
      retryInMs: wait,
    });
    this.#retryIn(wait);
  }

  #retryIn(ms: number): void {
    this.#cancelRetry = this.#options.clock.after(ms, () => {
      this.#cancelRetry = undefined;
      this.#fill();
    });
  }

  /** Only what the relay itself said about the token; tunnel.proto, "TunnelService". */
  #fatal(error: TunnelError): boolean {
    if (!error.remote) return false;
    if (!['token-unknown', 'token-revoked', 'token-malformed'].includes(error.code)) return false;
    this.stop(error);
    this.#options.onFatal(error);
    return true;
  }

  // ---- growing and shrinking ----

  #grow(): void {
    if (this.live.length < this.#wanted) return; // One is on its way already.
    this.#extra += 1;
    this.#spareSince = undefined;
    this.#fill();
  }

  /** What was dialled beyond the maximum takes the place of a link that goes. */
  #oneBeyondLess(): void {
    if (this.#extra > this.#max - this.#min) this.#extra -= 1;
  }

  #leave(entry: PoolLink): void {
    this.#oneBeyondLess();
    entry.leaving = true;
    entry.leavingSince = this.#options.clock.now();
  }

  /** Lets the duplicate with the fewest channels go: one whose relay another link reaches too. */
  #leaveDuplicate(newest: PoolLink): void {
    const count = new Map<string, number>();
    const candidates: PoolLink[] = [];
    for (const entry of this.#links) {
      const relay = entry.welcome?.relayId;
      if (entry.leaving || relay === undefined) continue;
      count.set(relay, (count.get(relay) ?? 0) + 1);
      candidates.push(entry);
    }
    const duplicates = candidates
      .filter((entry) => (count.get(entry.welcome?.relayId ?? '') ?? 0) > 1)
      .sort((a, b) => channels(a) - channels(b) || (a === newest ? -1 : b === newest ? 1 : 0));
    const [first] = duplicates;
    if (first) this.#retire(first, 'Another link reaches this relay');
  }

  #retire(entry: PoolLink, reason: string): void {
    this.#leave(entry);
    entry.link?.drain(IDLE_MS, reason);
  }

  /** Now and then: grow for what `onChannel` did not see, shrink, close what has left. */
  #tick(): void {
    this.#cancelTick = this.#options.clock.after(TICK_MS, () => this.#tick());
    const now = this.#options.clock.now();
    const live = this.live;
    for (const entry of this.#links) {
      const gone =
        entry.leaving && channels(entry) === 0 && now - entry.leavingSince >= LEAVE_GRACE_MS;
      // A draining relay keeps its last link until there is another.
      if (gone && live.length > 0)
        entry.link?.close(new TunnelError('draining', 'The link is not needed any more'));
      else if (!entry.leaving && now - entry.since >= STABLE_MS && !this.#cancelRetry)
        this.#backOff.reset();
    }
    if (this.#stopping) return;
    if (this.#extra > 0) this.#shrink(live, now);
    const silent = live.length > 0 && live.every(({ stats }) => stats.silent);
    const room = this.#max - this.#min + (silent ? BEYOND_MAX : 0);
    if (this.#extra < room && (silent || busy(live))) this.#grow();
    this.#fill();
  }

  #shrink(live: readonly Link[], now: number): void {
    if (!spare(live)) {
      this.#spareSince = undefined;
      return;
    }
    this.#spareSince ??= now;
    if (now - this.#spareSince < IDLE_MS) return;
    // Only an empty link: no channel is moved or cut for tidiness.
    const empty = [...this.#links].find((entry) => !entry.leaving && channels(entry) === 0);
    if (!empty) return;
    this.#extra -= 1;
    this.#spareSince = now;
    this.#retire(empty, 'Fewer links are needed');
  }
}

function channels(entry: PoolLink): number {
  return entry.link?.stats.channels ?? 0;
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

function toTunnelError(error: unknown): TunnelError {
  if (error instanceof TunnelError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new TunnelError('unavailable', message, { cause: error });
}
