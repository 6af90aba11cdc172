import { CHANNEL_ERROR_CODES, TunnelError } from '../errors.ts';
import type { ChannelErrorCode, TunnelErrorCode } from '../errors.ts';
import { MAX_TOMBSTONES, RESUME_WINDOW_MS } from '../limits.ts';
import type { Resumable, Resumer } from '../types.ts';
import type { FrameKind } from '../wire/encode.ts';
import type { AcceptorEnd } from './acceptor-end.ts';
import type { ChannelHost } from './channel-host.ts';
import type { Asked } from './pending-resume.ts';
import { resumedFrame } from './position-frames.ts';
import { IMPOSSIBLE_OFFSET, mayWorkElsewhere } from './resume-rules.ts';

/** How an ended channel ended; without `why` in order. */
interface Tombstone {
  readonly userId: string;
  readonly received: number;
  /** When, in ms of the clock. */
  readonly at: number;
  readonly why: Pick<TunnelError, 'code' | 'message'> | undefined;
}

export interface KeeperOptions {
  /** How long a channel without a link is kept, in ms. */
  readonly windowMs?: number;
  readonly now?: () => number;
  readonly onParked?: (channel: Resumable, reason: TunnelError) => void;
  readonly onResumed?: (channel: Resumable, afterMs: number) => void;
}

/**
 * An agent's side of resuming: all channels of one agent process by their uid,
 * over all its links. A channel that has lost its link is parked until its
 * opener comes for it, at most for the resume window. Ended ones are remembered
 * (the last MAX_TOMBSTONES), so that nothing runs twice and every late question gets the truth.
 */
export class ChannelKeeper implements Resumer {
  readonly #windowMs: number;
  readonly #options: KeeperOptions;
  readonly #now: () => number;
  readonly #channels = new Map<string, AcceptorEnd>();
  /** In the order in which they were parked; since when, in ms of the clock. */
  readonly #parked = new Map<AcceptorEnd, number>();
  readonly #tombstones = new Map<string, Tombstone>();
  /** Of a channel that ended later than this, and of no other, it is known whether it was ever here. */
  #knowsSince: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: KeeperOptions = {}) {
    this.#options = options;
    this.#windowMs = options.windowMs ?? RESUME_WINDOW_MS;
    this.#now = options.now ?? (() => performance.now());
    this.#knowsSince = this.#now();
  }

  /** Channels that wait for their openers. */
  get parked(): number {
    return this.#parked.size;
  }

  /** Ends all that waits. Idempotent. */
  stop(error: TunnelError): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const channel of [...this.#parked.keys()]) channel.fail(error);
  }

  // ---- for links -----------------------------------------------------------

  knows(uid: string): boolean {
    return this.#channels.has(uid) || this.#tombstones.has(uid);
  }

  admit(channel: AcceptorEnd): void {
    this.#channels.set(channel.uid, channel);
  }

  /** The channel, attached to the new link; or the refusal; or the answer for one that has ended. */
  resume(host: ChannelHost, number: number, asked: Asked): AcceptorEnd | TunnelError | FrameKind {
    const channel = this.#channels.get(asked.uid);
    if (channel === undefined) return this.#afterTheEnd(number, asked);
    return channel.resumedBy(host, number, asked) ?? channel;
  }

  #afterTheEnd(number: number, asked: Asked): TunnelError | FrameKind {
    const tombstone = this.#tombstones.get(asked.uid);
    if (tombstone === undefined || tombstone.userId !== asked.principal.userId) {
      if (tombstone !== undefined) return unknownChannel();
      // Should its Open still be on some way, it comes too late.
      this.#bury(asked.uid, asked.principal.userId, 0, UNKNOWN);
      return this.#now() - asked.ageMs > this.#knowsSince ? neverOpened() : unknownChannel();
    }
    const { why, received } = tombstone;
    if (why !== undefined) return new TunnelError(finalCode(why.code), why.message);
    // It ended because its opener had acknowledged all of it.
    if (!asked.ended) return new TunnelError('protocol-error', IMPOSSIBLE_OFFSET);
    return resumedFrame(number, { received, limit: 0, ended: true });
  }

  // ---- Resumer -------------------------------------------------------------

  onDetached(channel: Resumable, reason: TunnelError): void {
    this.#parked.set(channel as AcceptorEnd, this.#now());
    this.#options.onParked?.(channel, reason);
    this.#watch();
  }

  onAttached(channel: Resumable): void {
    const since = this.#parked.get(channel as AcceptorEnd);
    if (since === undefined) return;
    this.#parked.delete(channel as AcceptorEnd);
    this.#options.onResumed?.(channel, this.#now() - since);
  }

  onOver(channel: Resumable, why?: Pick<TunnelError, 'code' | 'message'>): void {
    this.#parked.delete(channel as AcceptorEnd);
    this.#channels.delete(channel.uid);
    this.#bury(channel.uid, channel.principal.userId, (channel as AcceptorEnd).received, why);
  }

  #bury(uid: string, userId: string, received: number, why: Tombstone['why']): void {
    this.#tombstones.set(uid, { userId, received, why, at: this.#now() });
    if (this.#tombstones.size <= MAX_TOMBSTONES) return;
    for (const [oldest, { at }] of this.#tombstones) {
      this.#tombstones.delete(oldest);
      this.#knowsSince = at;
      return;
    }
  }

  #watch(): void {
    if (this.#timer !== undefined) return;
    for (const since of this.#parked.values()) {
      const left = since + this.#windowMs - this.#now();
      this.#timer = setTimeout(this.#expire, Math.max(1, left)).unref();
      return;
    }
  }

  readonly #expire = (): void => {
    this.#timer = undefined;
    const now = this.#now();
    for (const [channel, since] of this.#parked) {
      if (now - since < this.#windowMs) break;
      channel.fail(
        new TunnelError(
          'link-lost',
          `Nobody came back for the channel within ${Math.round(this.#windowMs / 1000)} s after its link was lost.`,
        ),
      );
    }
    this.#watch();
  };
}

const UNKNOWN = {
  code: 'unknown-channel',
  message: 'This agent does not know the channel: it was started again since.',
} as const;

function neverOpened(): TunnelError {
  return new TunnelError(
    'never-opened',
    'The way broke before the agent heard of the channel: nothing was done. Try again.',
  );
}

/** A code that nobody takes for advice to try another way. */
function finalCode(code: TunnelErrorCode): ChannelErrorCode {
  const channel = CHANNEL_ERROR_CODES.find((each) => each === code);
  return channel === undefined || mayWorkElsewhere({ code }) ? 'unknown-channel' : channel;
}

export function unknownChannel(): TunnelError {
  return new TunnelError(UNKNOWN.code, UNKNOWN.message);
}
