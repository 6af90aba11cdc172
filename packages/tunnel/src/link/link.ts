import { randomBytes } from 'node:crypto';

import { TunnelError } from '../errors.ts';
import type { ChannelErrorCode } from '../errors.ts';
import type { Frame, Open, Resume } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import {
  BATCH_BYTES,
  DEFAULT_MAX_CHANNELS,
  IDLE_CREDIT_MS,
  INITIAL_WINDOW_BYTES,
  MAX_DATA_BYTES,
  MAX_QUEUED_CONTROL_FRAMES,
  PING_AFTER_MS,
  PONG_WITHIN_MS,
  PROBE_AFTER_MS,
  SILENT_AFTER_MS,
  SILENT_ROUND_TRIPS,
} from '../limits.ts';
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
import { FrameDecoder, safeNumber } from '../wire/decode.ts';
import type { FrameSink } from '../wire/decode.ts';
import { Batch } from '../wire/encode.ts';
import type { FrameKind } from '../wire/encode.ts';
import {
  errorFromReset,
  metadataFault,
  openFault,
  resetFrame,
  targetFromWire,
  trafficFromWire,
} from '../wire/messages.ts';
import { AcceptorEnd } from './acceptor-end.ts';
import type { ChannelHost } from './channel-host.ts';
import type { Endpoint } from './endpoint.ts';
import { type ChannelKeeper, unknownChannel } from './keeper.ts';
import { unwatch, watch } from './liveness.ts';
import { newUid, openFrame } from './open-frame.ts';
import { OpenRate } from './open-rate.ts';
import { OpenerEnd } from './opener-end.ts';
import { Pacer } from './pacer.ts';
import { askedFromWire, PendingResume, resumeFault } from './pending-resume.ts';
import { RttEstimator } from './rtt-estimator.ts';
import { Scheduler } from './scheduler.ts';

export interface LinkOptions {
  /** The dialler's channel numbers are odd, the acceptor's even. */
  readonly dialler: boolean;
  /** The link ended before its greeting was over; the user of the link hears nothing of it. */
  readonly onRefused: (error: TunnelError) => void;
  readonly maxChannels?: number;
  readonly maxOpensPerSecond?: number;
  readonly keeper?: ChannelKeeper;
}

const BULK_MEMORY_MS = 1_000;

/** One for the process: a batch is filled and taken within one call. */
const batch = new Batch();

/**
 * The engine of a link: numbers channels, cuts and joins frames, decides who
 * sends next, and watches whether the other side lives. What is queued leaves
 * at the end of the running callback; while that write is under way the rest
 * gathers, and leaves in the next one. So a lone keystroke does not wait, and a
 * busy link writes once per turn of the event loop.
 */
export class LinkCore
  implements ChannelHost, LinkStats, TransportHandler, FrameSink, TraceableLink
{
  readonly id = randomBytes(6).toString('hex');
  readonly #transport: Transport;
  #handler: LinkHandler | undefined;
  #onRefused: ((error: TunnelError) => void) | undefined;
  readonly #decoder: FrameDecoder;
  readonly #endpoints = new Map<number, Endpoint>();
  readonly #scheduler = new Scheduler<Endpoint>();
  readonly #rtt = new RttEstimator();
  readonly #opens: OpenRate;
  readonly #maxChannels: number;
  readonly #keeper: ChannelKeeper | undefined;
  #resumes = false;
  /** On a new channel before it is answered: of this side's own, and of the peer's. */
  #maySend = INITIAL_WINDOW_BYTES;
  #mayReceive = INITIAL_WINDOW_BYTES;
  #control: FrameKind[] = [];
  readonly #pings: number[] = [];
  readonly #pongs: number[] = [];
  /** Made when first needed, as is the pacer: most links idle. */
  #creditNow: Set<Endpoint> | undefined;
  #creditLater: Set<Endpoint> | undefined;
  #creditTimer: NodeJS.Timeout | undefined;
  #pacer: Pacer | undefined;
  /** Only while a channel is traced that this link carries or carried. */
  #tap: LinkTap | undefined;
  #greeting: ((kind: Frame['kind']) => void) | undefined;
  #nextOwn: number;
  #lastPeer: number;
  #pingToken = 0;
  #pingAfterMs = PING_AFTER_MS;
  #pongWithinMs = PONG_WITHIN_MS;
  #heardAt = performance.now();
  #pingedAt = 0;
  /** When something was first said since the peer was last heard; 0: nothing was. Pings and Pongs say nothing. */
  #saidAt = 0;
  /** The peer was asked for an answer to that; 0: not yet. */
  #probedAt = 0;
  #silent = false;
  #scheduled = false;
  #sending = false;
  #closed = false;
  #draining = false;
  /** This side said Drain: what the peer opened before it heard of that is on its way. */
  #saidDrain = false;
  #bytesIn = 0;
  #bytesOut = 0;
  #stalls = 0;
  #queuedBytes = 0;
  #bulkAt = -Infinity;

  constructor(transport: Transport, options: LinkOptions) {
    this.#transport = transport;
    this.#onRefused = options.onRefused;
    this.#maxChannels = options.maxChannels ?? DEFAULT_MAX_CHANNELS;
    this.#opens = new OpenRate(options.maxOpensPerSecond ?? Infinity);
    this.#keeper = options.keeper;
    this.#nextOwn = options.dialler ? 1 : 2;
    this.#lastPeer = options.dialler ? 0 : -1;
    this.#decoder = new FrameDecoder(this);
    transport.setHandler(this);
  }

  // ---- Link ----------------------------------------------------------------

  get closed(): boolean {
    return this.#closed;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get resumes(): boolean {
    return this.#resumes;
  }

  get stats(): LinkStats {
    return this;
  }

  get channels(): number {
    return this.#endpoints.size;
  }

  attachments(): Iterable<Endpoint> {
    return this.#endpoints.values();
  }

  get tap(): LinkTap | undefined {
    return this.#tap;
  }

  set tap(tap: LinkTap | undefined) {
    this.#tap = this.#decoder.tap = tap;
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get stalls(): number {
    return this.#stalls;
  }

  get rttMs(): number | undefined {
    return this.#rtt.smoothedMs;
  }

  get silent(): boolean {
    return this.#silent;
  }

  /** Whether bulk went out or came in during the last second. */
  get bulk(): boolean {
    return this.#scheduler.hasBulk || performance.now() - this.#bulkAt < BULK_MEMORY_MS;
  }

  open(options: OpenOptions, handler: ChannelHandler): Channel {
    const number = this.allocate();
    const metadata = options.metadata ?? NO_METADATA;
    const fault = metadata === NO_METADATA ? undefined : metadataFault(metadata);
    if (fault !== undefined) throw new TunnelError('limit', fault);
    const traffic = options.traffic ?? 'auto';
    const { target, principal, workload = '' } = options;
    const facts = { uid: newUid(), target, principal, metadata, workload, traffic };
    const resumer = this.#resumes ? options.resumer : undefined;
    const channel = new OpenerEnd(this, number, facts, this.#maySend, resumer);
    channel.setHandler(handler);
    this.attach(channel, openFrame(number, facts, channel.initialWindow, workload));
    return channel;
  }

  resume(channel: Resumable, workload?: string): void {
    if (!(channel instanceof OpenerEnd) || !this.#resumes) {
      throw new TunnelError('unsupported', 'Channels cannot be resumed over this link.');
    }
    const number = this.allocate();
    const frame = channel.resumeOn(this, number, workload);
    if (frame !== undefined) this.attach(channel, frame);
  }

  drain(deadlineMs: number, reason: string): void {
    if (this.#closed || this.#draining) return;
    this.#draining = this.#saidDrain = true;
    this.#queue({ case: 'drain', value: { deadlineMs, reason } });
    // Several links may be drained in one go: who looks for another must not find the next one.
    queueMicrotask(() => this.#tellDraining());
  }

  #tellDraining(): void {
    for (const endpoint of [...this.#endpoints.values()]) endpoint.onDraining();
  }

  close(error: TunnelError): void {
    if (this.#closed) return;
    this.#transport.close(error);
    this.#end(error);
  }

  // ---- greeting, used by the handshake ---------------------------------------

  /** Sends one frame and gives the next that arrives to `onReply`, before anything else is allowed. */
  greet(onReply: (kind: Frame['kind']) => void, frame?: FrameKind): void {
    this.#greeting = onReply;
    if (frame !== undefined) this.#queue(frame);
  }

  established(
    handler: LinkHandler,
    times: { pingAfterMs: number; pongWithinMs: number },
    agreed: {
      readonly resumes: boolean;
      readonly maySend?: number;
      readonly mayReceive?: number;
    },
    welcome?: FrameKind,
  ): void {
    if (this.#closed) return;
    this.#handler = handler;
    this.#onRefused = undefined;
    this.#greeting = undefined;
    this.#resumes = agreed.resumes;
    this.#maySend = agreed.maySend ?? INITIAL_WINDOW_BYTES;
    this.#mayReceive = agreed.mayReceive ?? INITIAL_WINDOW_BYTES;
    this.#pingAfterMs = times.pingAfterMs || PING_AFTER_MS;
    this.#pongWithinMs = times.pongWithinMs || PONG_WITHIN_MS;
    if (welcome !== undefined) this.#queue(welcome);
    this.#ping(performance.now());
    watch(this);
  }

  // ---- ChannelHost and switch ------------------------------------------------

  get rttEstimateMs(): number {
    return this.#rtt.smoothedMs ?? 1;
  }

  /** Bytes on a new channel of this side's before it is answered. */
  get maySendFirst(): number {
    return this.#maySend;
  }

  /** The same for the peer's. */
  get mayReceiveFirst(): number {
    return this.#mayReceive;
  }

  /** The next channel number. Throws TunnelError when no channel may be opened. */
  allocate(): number {
    if (this.#closed) throw new TunnelError('link-lost', 'The link has ended.');
    if (this.#draining) throw new TunnelError('draining', 'The link is draining; use another.');
    if (this.#endpoints.size >= this.#maxChannels) {
      throw new TunnelError('limit', `The link already carries ${this.#maxChannels} channels.`);
    }
    const number = this.#nextOwn;
    this.#nextOwn += 2;
    return number;
  }

  attach(endpoint: Endpoint, frame: FrameKind): void {
    this.#hold(endpoint);
    this.#queue(frame);
  }

  #hold(endpoint: Endpoint): void {
    this.#endpoints.set(endpoint.number, endpoint);
    if (traces.active) traces.attached(this, endpoint);
  }

  /** A switch's leg takes the place of a channel's end. */
  replace(endpoint: Endpoint): void {
    const old = this.#endpoints.get(endpoint.number);
    this.#endpoints.set(endpoint.number, endpoint);
    if (old !== undefined) this.forget(old);
  }

  send(frame: FrameKind): void {
    this.#queue(frame);
  }

  wake(endpoint: Endpoint): void {
    if (this.#closed) return;
    this.#scheduler.add(endpoint, performance.now());
    this.#schedule();
  }

  sendOpened(endpoint: Endpoint, initialWindow: number): void {
    this.#queue({
      case: 'opened',
      value: { channel: endpoint.number, initialWindow: BigInt(initialWindow) },
    });
  }

  sendCreditNow(endpoint: Endpoint): void {
    if (this.#closed) return;
    (this.#creditNow ??= new Set()).add(endpoint);
    // Who receives needs the round trip, to know how far its windows should grow.
    if (this.#rtt.due(this.#heardAt)) this.#ping(this.#heardAt);
    this.#schedule();
  }

  sendCreditLater(endpoint: Endpoint): void {
    (this.#creditLater ??= new Set()).add(endpoint);
    if (this.#creditTimer !== undefined || this.#closed) return;
    this.#creditTimer = setTimeout(this.#sendLateCredits, IDLE_CREDIT_MS).unref();
  }

  sendReset(endpoint: Endpoint, code: ChannelErrorCode, reason: string): void {
    this.#queue(resetFrame(endpoint.number, code, reason));
  }

  sendDetached(endpoint: Endpoint, reason: string): void {
    this.#queue({ case: 'detached', value: { channel: endpoint.number, reason } });
  }

  forget(endpoint: Endpoint): void {
    // A switch's leg may have taken the number over.
    if (this.#endpoints.get(endpoint.number) === endpoint) {
      this.#endpoints.delete(endpoint.number);
      if (this.#tap !== undefined) this.#tap.left(endpoint);
    }
    this.#scheduler.remove(endpoint);
    this.#creditNow?.delete(endpoint);
    this.#creditLater?.delete(endpoint);
  }

  onStall(): void {
    this.#stalls++;
  }

  onChannelOpened(waitedMs: number): void {
    this.#handler?.onChannelOpened?.(waitedMs);
  }

  onQueued(bytes: number): void {
    this.#queuedBytes += bytes;
  }

  // ---- sending ---------------------------------------------------------------

  #queue(frame: FrameKind): void {
    if (this.#closed) return;
    if (this.#control.length >= MAX_QUEUED_CONTROL_FRAMES) {
      this.close(new TunnelError('limit', 'The peer asks for more answers than it reads.'));
      return;
    }
    this.#control.push(frame);
    if (this.#tap !== undefined) this.#tap.queued(frame);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#sending || this.#closed) return;
    this.#scheduled = true;
    process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#closed || this.#sending) return;
    const now = performance.now();
    batch.tap = this.#tap;
    if (this.#saidAt === 0 && this.#hasToSay) this.#saidAt = now;
    this.#encodeControl();
    const emitted = this.#emitInteractive(now);
    const all = this.#scheduler.hasBulk ? this.#emitBulk(now, emitted) : emitted;
    const bytes = batch.bytes;
    if (bytes > 0) {
      this.#sending = true;
      this.#transport.send(batch.take(), bytes);
    }
    if (all !== undefined) for (const endpoint of all) endpoint.afterEmit();
  };

  get #hasToSay(): boolean {
    return (
      this.#control.length > 0 ||
      (this.#creditNow?.size ?? 0) > 0 ||
      this.#scheduler.hasInteractive ||
      this.#scheduler.hasBulk
    );
  }

  #encodeControl(): void {
    if (this.#control.length > 0) {
      const frames = this.#control;
      this.#control = [];
      for (const frame of frames) batch.control(frame);
    }
    if (this.#pongs.length > 0) {
      for (const token of this.#pongs) batch.pong(token);
      this.#pongs.length = 0;
    }
    if (this.#pings.length > 0) {
      for (const token of this.#pings) batch.ping(token);
      this.#pings.length = 0;
    }
    if (this.#creditNow !== undefined && this.#creditNow.size > 0) {
      for (const endpoint of this.#creditNow) {
        this.#creditLater?.delete(endpoint);
        endpoint.emitCredit(batch);
      }
      this.#creditNow.clear();
    }
  }

  #emitInteractive(now: number): Endpoint[] | undefined {
    let emitted: Endpoint[] | undefined;
    while (this.#scheduler.hasInteractive && batch.bytes < BATCH_BYTES) {
      const endpoint = this.#scheduler.nextInteractive(now);
      if (endpoint === undefined) break;
      this.#emit(endpoint, MAX_DATA_BYTES, now);
      (emitted ??= []).push(endpoint);
    }
    return emitted;
  }

  #emitBulk(now: number, emitted: Endpoint[] = []): Endpoint[] {
    const pacer = (this.#pacer ??= new Pacer());
    this.#bulkAt = now;
    // One slice at least goes out with each batch, whatever came first.
    do {
      const room = pacer.room(now);
      if (room === 0) break;
      const endpoint = this.#scheduler.nextBulk();
      if (endpoint === undefined) break;
      this.#emit(endpoint, Math.min(room, pacer.sliceBytes), now);
      emitted.push(endpoint);
    } while (batch.bytes < BATCH_BYTES);
    this.#probe(now);
    return emitted;
  }

  #emit(endpoint: Endpoint, max: number, now: number): void {
    if (!endpoint.sendable) return;
    const sent = endpoint.emit(batch, max, now);
    this.#bytesOut += sent;
    this.#pacer?.onSent(sent, now);
    if (endpoint.sendable) this.#scheduler.add(endpoint, now);
  }

  #probe(now: number): void {
    const pacer = this.#pacer;
    if (pacer === undefined || !pacer.wantsProbe) return;
    const token = ++this.#pingToken;
    batch.ping(token);
    pacer.onProbe(token, now);
  }

  readonly #sendLateCredits = (): void => {
    this.#creditTimer = undefined;
    if (this.#creditLater === undefined) return;
    for (const endpoint of this.#creditLater) (this.#creditNow ??= new Set()).add(endpoint);
    this.#creditLater.clear();
    this.#schedule();
  };

  #ping(now: number): void {
    const token = ++this.#pingToken;
    this.#rtt.onPing(token, now);
    this.#pings.push(token);
    this.#schedule();
  }

  // ---- TransportHandler --------------------------------------------------------

  onSent(): void {
    this.#sending = false;
    if (this.#pongs.length > 0 || this.#pings.length > 0 || this.#hasToSay) {
      // At once: this is already the turn after the one that filled the batch.
      this.#flush();
    }
  }

  onBytes(chunk: Buffer): void {
    if (this.#closed) return;
    this.#heardAt = performance.now();
    this.#pingedAt = this.#saidAt = this.#probedAt = 0;
    this.#silent = false;
    try {
      this.#decoder.push(chunk);
    } catch (cause) {
      const error =
        cause instanceof TunnelError
          ? cause
          : new TunnelError('internal', 'The link failed by a fault of its own.', { cause });
      this.close(error);
    }
  }

  onClose(error: TunnelError): void {
    this.#end(error);
  }

  // ---- FrameSink -----------------------------------------------------------------

  onData(number: number, offset: number, payload: Buffer): void {
    if (this.#closed) return;
    if (this.#greeting !== undefined) throw early();
    this.#bytesIn += payload.length;
    const endpoint = this.#endpoints.get(number);
    if (endpoint !== undefined) endpoint.onData(offset, payload);
    else this.#checkKnown(number);
  }

  onCredit(number: number, acked: number, limit: number): void {
    if (this.#closed) return;
    if (this.#greeting !== undefined) throw early();
    if (this.#tap !== undefined) this.#tap.receivedCredit(number, acked, limit);
    this.#endpoint(number)?.onCredit(acked, limit, this.#heardAt);
  }

  onPing(token: number): void {
    if (this.#closed) return;
    if (this.#greeting !== undefined) throw early();
    if (this.#pongs.length >= MAX_QUEUED_CONTROL_FRAMES) {
      this.close(new TunnelError('limit', 'The peer asks for more answers than it reads.'));
      return;
    }
    this.#pongs.push(token);
    this.#schedule();
  }

  onFrame(kind: Frame['kind']): void {
    if (this.#closed) return;
    if (this.#greeting !== undefined) return this.#greeting(kind);
    if (this.#tap !== undefined) this.#tap.received(kind);
    switch (kind.case) {
      case 'open':
        return this.#onOpen(kind.value);
      case 'opened':
        return this.#endpoint(kind.value.channel)?.onOpened(safeNumber(kind.value.initialWindow));
      case 'fin':
        return this.#endpoint(kind.value.channel)?.onFin(safeNumber(kind.value.offset));
      case 'reset':
        return this.#endpoint(kind.value.channel)?.onReset(errorFromReset(kind.value));
      case 'resume':
        return this.#onResume(kind.value);
      case 'resumed':
        return this.#endpoint(kind.value.channel)?.onResumed({
          received: safeNumber(kind.value.received),
          limit: safeNumber(kind.value.limit),
          ended: kind.value.ended,
        });
      case 'detached':
        return this.#endpoint(kind.value.channel)?.onDetached(
          new TunnelError('agent-gone', `A link on the way was lost: ${kind.value.reason}`, {
            remote: true,
          }),
        );
      case 'drain':
        this.#draining = true;
        this.#handler?.onDrain?.(kind.value.deadlineMs, kind.value.reason);
        return this.#tellDraining();
      case 'hello':
      case 'welcome':
        throw new TunnelError('protocol-error', 'The peer greeted twice.');
      default:
        // Kinds of later revisions.
        return;
    }
  }

  #endpoint(number: number): Endpoint | undefined {
    const endpoint = this.#endpoints.get(number);
    if (endpoint === undefined) this.#checkKnown(number);
    return endpoint;
  }

  /** Frames for a closed channel are late, and harmless; for one never opened, a fault. */
  #checkKnown(number: number): void {
    const own = number % 2 === this.#nextOwn % 2;
    if (own ? number < this.#nextOwn : number <= this.#lastPeer) return;
    throw new TunnelError(
      'protocol-error',
      `The peer sent a frame for channel ${number}, which was never opened.`,
    );
  }

  onPong(token: number): void {
    if (this.#closed) return;
    if (this.#greeting !== undefined) throw early();
    const now = performance.now();
    this.#rtt.onPong(token, now);
    if (this.#pacer === undefined) return;
    this.#pacer.onPong(token, now);
    if (this.#scheduler.hasBulk) this.#schedule();
    else if (this.#pacer.wantsProbe) {
      const probe = ++this.#pingToken;
      this.#pacer.onProbe(probe, now);
      this.#pings.push(probe);
      this.#schedule();
    }
  }

  /** A number that the peer takes into use. */
  #peerNumber(number: number): void {
    if (number % 2 === this.#nextOwn % 2 || number <= this.#lastPeer) {
      throw new TunnelError(
        'protocol-error',
        `The peer opened channel ${number}, which is not its to open.`,
      );
    }
    this.#lastPeer = number;
  }

  /** Why no channel more may come in now; undefined: it may. */
  #fullBecause(): readonly [ChannelErrorCode, string] | undefined {
    if (this.#endpoints.size >= this.#maxChannels) {
      return ['limit', `The link already carries ${this.#maxChannels} channels.`];
    }
    if (this.#opens.take(this.#heardAt)) return undefined;
    return ['limit', 'Channels are opened too fast; try again in a second.'];
  }

  #onOpen(open: Open): void {
    const number = open.channel;
    this.#peerNumber(number);
    const fault = openFault(open);
    if (fault !== undefined) return this.#queue(resetFrame(number, 'protocol-error', fault));
    if (this.#draining && !this.#saidDrain) {
      return this.#queue(
        resetFrame(number, 'draining', 'The link is draining; open the channel on another.'),
      );
    }
    const full = this.#fullBecause();
    if (full !== undefined) return this.#queue(resetFrame(number, ...full));
    const target = targetFromWire(open.target);
    if (target === undefined) {
      return this.#queue(
        resetFrame(number, 'unsupported', 'This kind of target is not known here.'),
      );
    }
    const uid = Buffer.from(open.uid).toString('hex');
    const keeper = this.#resumes ? this.#keeper : undefined;
    if (keeper?.knows(uid) === true) {
      return this.#queue(
        resetFrame(number, 'unknown-channel', 'A channel with this uid was opened before.'),
      );
    }
    const channel = new AcceptorEnd(
      this,
      number,
      {
        uid,
        target,
        principal: {
          userId: open.principal?.userId ?? '',
          username: open.principal?.username ?? '',
        },
        metadata: open.metadata,
        workload: open.workload,
        traffic: trafficFromWire(open.traffic),
      },
      safeNumber(open.initialWindow),
      keeper,
    );
    keeper?.admit(channel);
    this.#hold(channel);
    this.#handler?.onChannel(channel);
  }

  #onResume(resume: Resume): void {
    const number = resume.channel;
    this.#peerNumber(number);
    const fault = resumeFault(resume);
    if (fault !== undefined) return this.#queue(resetFrame(number, 'protocol-error', fault));
    // Also on a link that drains: nothing new begins, and its opener may not know yet.
    const full = this.#fullBecause();
    if (full !== undefined) return this.#queue(resetFrame(number, ...full));
    const asked = askedFromWire(resume);
    if (this.#keeper === undefined && this.#handler?.onResume !== undefined) {
      const pending = new PendingResume(this, number, asked);
      this.#hold(pending);
      if (this.#tap !== undefined) this.#tap.received({ case: 'resume', value: resume });
      this.#handler.onResume(pending);
      return;
    }
    const answer = this.#keeper?.resume(this, number, asked) ?? unknownChannel();
    if (answer instanceof AcceptorEnd) {
      if (!answer.over) this.#hold(answer);
    } else if (answer instanceof TunnelError) {
      this.#queue(resetFrame(number, answer.code as ChannelErrorCode, answer.message));
    } else this.#queue(answer);
  }

  // ---- end -------------------------------------------------------------------

  /** Called by the liveness timer. */
  check(now: number): void {
    if (this.#pingedAt !== 0 && now - this.#pingedAt >= this.#pongWithinMs) {
      this.close(
        new TunnelError(
          'link-silent',
          `The peer has been silent for ${Math.round((now - this.#heardAt) / 1000)} s.`,
        ),
      );
    } else if (this.#pingedAt === 0 && now - this.#heardAt >= this.#pingAfterMs) {
      this.#pingedAt = now;
      this.#ping(now);
    }
    if (!this.#closed) this.#checkAnswers(now);
  }

  #checkAnswers(now: number): void {
    if (!this.#silent) {
      if (this.#saidAt === 0) return;
      if (this.#probedAt === 0) {
        if (now - this.#saidAt < PROBE_AFTER_MS) return;
        this.#probedAt = now;
        this.#ping(now);
        return;
      }
      const patience = Math.max(SILENT_AFTER_MS, SILENT_ROUND_TRIPS * this.rttEstimateMs);
      if (now - this.#probedAt < patience) return;
      this.#silent = true;
    }
    for (const endpoint of [...this.#endpoints.values()]) endpoint.onSilent();
  }

  #end(error: TunnelError): void {
    if (this.#closed) return;
    this.#closed = true;
    unwatch(this);
    clearTimeout(this.#creditTimer);
    this.#control = [];
    this.#creditNow?.clear();
    this.#creditLater?.clear();
    const endpoints = [...this.#endpoints.values()];
    this.#endpoints.clear();
    if (this.#tap !== undefined) this.#tap.lost(error);
    for (const endpoint of endpoints) endpoint.onLinkLost(error);
    const refused = this.#onRefused;
    this.#onRefused = undefined;
    if (refused !== undefined) refused(error);
    else this.#handler?.onClose(error);
  }
}

const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({});

function early(): TunnelError {
  return new TunnelError('protocol-error', 'The peer sent data before its greeting.');
}
