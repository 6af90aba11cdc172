import { randomBytes } from 'node:crypto';

import { TunnelError } from '../errors.ts';
import type { ChannelErrorCode } from '../errors.ts';
import type { Frame, Open, Resume } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import { DEFAULT_MAX_CHANNELS, INITIAL_WINDOW_BYTES } from '../limits.ts';
import type { LinkTap } from '../trace/link-tap.ts';
import { type TraceableLink, traces } from '../trace/traces.ts';
import type { Transport, TransportHandler } from '../transport.ts';
import type {
  Channel,
  ChannelHandler,
  LinkHandler,
  LinkStats,
  OpenOptions,
  Resumable,
} from '../types.ts';
import type { FrameKind } from '../wire/encode.ts';
import { metadataFault, resetFrame } from '../wire/messages.ts';
import { Arrivals } from './arrivals.ts';
import type { ChannelHost } from './channel-host.ts';
import { ChannelNumbers } from './channel-numbers.ts';
import type { Endpoint } from './endpoint.ts';
import { Inbox } from './inbox.ts';
import type { ChannelKeeper } from './keeper.ts';
import { LinkCounts } from './link-counts.ts';
import { unwatch, watch } from './liveness.ts';
import { newUid, openFrame } from './open-frame.ts';
import { OpenerEnd } from './opener-end.ts';
import { Outbox } from './outbox.ts';
import { Silence } from './silence.ts';

export interface LinkOptions {
  /** The dialler's channel numbers are odd, the acceptor's even. */
  readonly dialler: boolean;
  /** The link ended before its greeting was over; the user of the link hears nothing of it. */
  readonly onRefused: (error: TunnelError) => void;
  readonly maxChannels?: number;
  readonly maxOpensPerSecond?: number;
  readonly keeper?: ChannelKeeper;
}

/** What both sides can do, and allow. */
export interface Agreed {
  readonly resumes: boolean;
  /** Bytes on a new channel before it is answered: on this side's own, */
  readonly maySend?: number;
  /** and on the peer's. */
  readonly mayReceive?: number;
}

const NOT_GREETED: Agreed = { resumes: false };

/** Who hears of the link: before its greeting is over only of its failure. */
type Owner =
  | { readonly greeted: false; readonly options: LinkOptions }
  | { readonly greeted: true; readonly handler: LinkHandler; readonly arrivals: Arrivals };

/**
 * A link as its users, its channels and its transport see it. What leaves is the
 * Outbox's, what arrives the Inbox's; here is what they have in common: which
 * channels there are, how the link begins, drains, falls silent and ends.
 */
export class LinkCore implements ChannelHost, TransportHandler, TraceableLink {
  readonly id = randomBytes(6).toString('hex');
  readonly #transport: Transport;
  readonly #silence = new Silence();
  readonly #numbers: ChannelNumbers;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #counts: LinkCounts;
  #owner: Owner;
  #agreed = NOT_GREETED;
  /** Who said Drain first. What the peer opened before it heard of that is on its way. */
  #drain: 'nobody' | 'this side' | 'the peer' = 'nobody';
  #closed = false;

  constructor(transport: Transport, options: LinkOptions) {
    this.#transport = transport;
    this.#owner = { greeted: false, options };
    this.#numbers = new ChannelNumbers(
      options.dialler,
      options.maxChannels ?? DEFAULT_MAX_CHANNELS,
    );
    this.#outbox = new Outbox(transport, this.#silence, () =>
      this.close(new TunnelError('limit', 'The peer asks for more answers than it reads.')),
    );
    this.#inbox = new Inbox(this, this.#numbers, this.#silence, this.#outbox);
    this.#counts = new LinkCounts(this.#numbers, this.#inbox, this.#outbox, this.#silence);
    transport.setHandler(this);
  }

  // ---- Link ----------------------------------------------------------------

  get closed(): boolean {
    return this.#closed;
  }

  get draining(): boolean {
    return this.#drain !== 'nobody';
  }

  get resumes(): boolean {
    return this.#agreed.resumes;
  }

  get stats(): LinkStats {
    return this.#counts;
  }

  open(options: OpenOptions, handler: ChannelHandler): Channel {
    const number = this.allocate();
    const metadata = options.metadata ?? NO_METADATA;
    const fault = metadata === NO_METADATA ? undefined : metadataFault(metadata);
    if (fault !== undefined) throw new TunnelError('limit', fault);
    const traffic = options.traffic ?? 'auto';
    const { target, principal, workload = '' } = options;
    const facts = { uid: newUid(), target, principal, metadata, workload, traffic };
    const resumer = this.resumes ? options.resumer : undefined;
    const channel = new OpenerEnd(this, number, facts, this.maySendFirst, resumer);
    channel.setHandler(handler);
    this.attach(channel, openFrame(number, facts, channel.initialWindow, workload));
    return channel;
  }

  resume(channel: Resumable, workload?: string): void {
    if (!(channel instanceof OpenerEnd) || !this.resumes) {
      throw new TunnelError('unsupported', 'Channels cannot be resumed over this link.');
    }
    const number = this.allocate();
    const frame = channel.resumeOn(this, number, workload);
    if (frame !== undefined) this.attach(channel, frame);
  }

  drain(deadlineMs: number, reason: string): void {
    if (this.#closed || this.draining) return;
    this.#drain = 'this side';
    this.send({ case: 'drain', value: { deadlineMs, reason } });
    // Several links may be drained in one go: who looks for another must not find the next one.
    queueMicrotask(() => this.#tellDraining());
  }

  #tellDraining(): void {
    for (const endpoint of [...this.#numbers.endpoints()]) endpoint.onDraining();
  }

  close(error: TunnelError): void {
    if (this.#closed) return;
    this.#transport.close(error);
    this.#end(error);
  }

  // ---- greeting, used by the handshake ---------------------------------------

  /** Sends one frame and gives the next that arrives to `onReply`, before anything else is allowed. */
  greet(onReply: (kind: Frame['kind']) => void, frame?: FrameKind): void {
    this.#inbox.greet(onReply);
    if (frame !== undefined) this.send(frame);
  }

  /** The greeting is over: channels may come, and `handler` hears of them. */
  established(
    handler: LinkHandler,
    times: { pingAfterMs: number; pongWithinMs: number },
    agreed: Agreed,
    welcome?: FrameKind,
  ): void {
    if (this.#closed || this.#owner.greeted) return;
    const { maxOpensPerSecond = Infinity, keeper } = this.#owner.options;
    const arrivals = new Arrivals(this, this.#numbers, handler, { maxOpensPerSecond, keeper });
    this.#owner = { greeted: true, handler, arrivals };
    this.#agreed = agreed;
    this.#inbox.open();
    this.#silence.setTimes(times.pingAfterMs, times.pongWithinMs);
    if (welcome !== undefined) this.send(welcome);
    this.#outbox.ping(performance.now());
    watch(this);
  }

  // ---- channels that come and go ---------------------------------------------

  /** Bytes on a new channel of this side's before it is answered. */
  get maySendFirst(): number {
    return this.#agreed.maySend ?? INITIAL_WINDOW_BYTES;
  }

  /** The same for the peer's. */
  get mayReceiveFirst(): number {
    return this.#agreed.mayReceive ?? INITIAL_WINDOW_BYTES;
  }

  /** The next channel number. Throws TunnelError when no channel may be opened. */
  allocate(): number {
    if (this.#closed) throw new TunnelError('link-lost', 'The link has ended.');
    if (this.draining) throw new TunnelError('draining', 'The link is draining; use another.');
    const full = this.#numbers.full;
    if (full !== undefined) throw new TunnelError('limit', full);
    return this.#numbers.next();
  }

  attach(endpoint: Endpoint, frame: FrameKind): void {
    this.hold(endpoint);
    this.send(frame);
  }

  hold(endpoint: Endpoint): void {
    this.#numbers.set(endpoint);
    if (traces.active) traces.attached(this, endpoint);
  }

  /** A switch's leg takes the place of a channel's end. */
  replace(endpoint: Endpoint): void {
    const before = this.#numbers.set(endpoint);
    if (before !== undefined) this.forget(before);
  }

  forget(endpoint: Endpoint): void {
    // A switch's leg may have taken the number over.
    if (this.#numbers.delete(endpoint)) this.tap?.left(endpoint);
    this.#outbox.forget(endpoint);
  }

  onOpen(open: Open): void {
    if (!this.#owner.greeted) return;
    this.#owner.arrivals.open(open, this.#drain === 'the peer', this.#silence.heardAt);
  }

  onResume(resume: Resume): void {
    if (this.#owner.greeted) this.#owner.arrivals.resume(resume, this.#silence.heardAt);
  }

  onChannelOpened(waitedMs: number): void {
    if (this.#owner.greeted) this.#owner.handler.onChannelOpened?.(waitedMs);
  }

  attachments(): Iterable<Endpoint> {
    return this.#numbers.endpoints();
  }

  get tap(): LinkTap | undefined {
    return this.#outbox.tap;
  }

  set tap(tap: LinkTap | undefined) {
    this.#inbox.tap = this.#outbox.tap = tap;
  }

  // ---- what channels send ----------------------------------------------------

  get rttEstimateMs(): number {
    return this.#outbox.rttMs ?? 1;
  }

  wake(endpoint: Endpoint): void {
    this.#outbox.wake(endpoint);
  }

  send(frame: FrameKind): void {
    this.#outbox.queue(frame);
  }

  sendOpened(endpoint: Endpoint, initialWindow: number): void {
    this.send({
      case: 'opened',
      value: { channel: endpoint.number, initialWindow: BigInt(initialWindow) },
    });
  }

  sendCreditNow(endpoint: Endpoint): void {
    this.#outbox.creditNow(endpoint);
  }

  sendCreditLater(endpoint: Endpoint): void {
    this.#outbox.creditLater(endpoint);
  }

  sendReset(endpoint: Endpoint, code: ChannelErrorCode, reason: string): void {
    this.send(resetFrame(endpoint.number, code, reason));
  }

  sendDetached(endpoint: Endpoint, reason: string): void {
    this.send({ case: 'detached', value: { channel: endpoint.number, reason } });
  }

  onStall(): void {
    this.#counts.stalls++;
  }

  onQueued(bytes: number): void {
    this.#counts.queuedBytes += bytes;
  }

  // ---- TransportHandler --------------------------------------------------------

  onBytes(chunk: Buffer): void {
    this.#inbox.onBytes(chunk);
  }

  onSent(): void {
    this.#outbox.onSent();
  }

  onClose(error: TunnelError): void {
    this.#end(error);
  }

  // ---- drain, silence, end ---------------------------------------------------

  /** The peer said Drain. */
  onDrain(deadlineMs: number, reason: string): void {
    if (this.#drain === 'nobody') this.#drain = 'the peer';
    if (this.#owner.greeted) this.#owner.handler.onDrain?.(deadlineMs, reason);
    this.#tellDraining();
  }

  /** Called by the liveness timer. */
  check(now: number): void {
    if (this.#silence.isDead(now)) {
      const seconds = Math.round((now - this.#silence.heardAt) / 1000);
      this.close(new TunnelError('link-silent', `The peer has been silent for ${seconds} s.`));
      return;
    }
    if (this.#silence.asks(now, this.rttEstimateMs)) this.#outbox.ping(now);
    if (!this.#silence.silent) return;
    for (const endpoint of [...this.#numbers.endpoints()]) endpoint.onSilent();
  }

  #end(error: TunnelError): void {
    if (this.#closed) return;
    this.#closed = true;
    unwatch(this);
    this.#outbox.stop();
    this.#inbox.stop();
    const endpoints = this.#numbers.clear();
    this.tap?.lost(error);
    for (const endpoint of endpoints) endpoint.onLinkLost(error);
    if (this.#owner.greeted) this.#owner.handler.onClose(error);
    else this.#owner.options.onRefused(error);
  }
}

const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({});
