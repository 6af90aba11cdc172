import { TunnelError } from '../errors.ts';
import type { ChannelErrorCode } from '../errors.ts';
import { WRITE_HIGH_WATER_BYTES, WRITE_LOW_WATER_BYTES } from '../limits.ts';
import type {
  Channel,
  ChannelHandler,
  Link,
  Principal,
  Resumable,
  Resumer,
  Target,
  Traffic,
} from '../types.ts';
import { traces } from '../trace/traces.ts';
import type { ChannelState, ChannelView } from '../trace/view.ts';
import type { Batch, FrameKind } from '../wire/encode.ts';
import type { Endpoint, Position } from './endpoint.ts';
import { ReceiveWindow, SendWindow } from './flow-control.ts';
import type { Asked } from './pending-resume.ts';
import { replayBudget } from './replay-budget.ts';
import { newUid, openFrame } from './open-frame.ts';
import { outlivesItsLink, mayWorkElsewhere, neverBegan } from './resume-rules.ts';
import { SendQueue } from './send-queue.ts';
import { TrafficMeter } from './traffic-meter.ts';

/** What a channel asks of its link. */
export interface ChannelHost extends Link {
  readonly rttEstimateMs: number;
  /** Bytes on a new channel before it is answered. */
  readonly maySendFirst: number;
  /** The endpoint has something to send. */
  wake(endpoint: Endpoint): void;
  send(frame: FrameKind): void;
  sendOpened(endpoint: Endpoint, initialWindow: number): void;
  sendCreditNow(endpoint: Endpoint): void;
  sendCreditLater(endpoint: Endpoint): void;
  sendReset(endpoint: Endpoint, code: ChannelErrorCode, reason: string): void;
  /** The endpoint is done with its number. */
  forget(endpoint: Endpoint): void;
  onStall(): void;
  /** `Opened` came for a channel of one's own, so long after its `Open`. */
  onChannelOpened(waitedMs: number): void;
  /** So many more bytes (or fewer, when negative) wait in an endpoint's queue. */
  onQueued(bytes: number): void;
}

export interface ChannelFacts {
  readonly uid: string;
  readonly target: Target;
  readonly principal: Principal;
  readonly metadata: Readonly<Record<string, string>>;
  readonly workload: string;
  readonly traffic: Traffic;
}

/**
 * One end of a channel. While no handler is set (an accepted channel whose
 * route is being looked up), what arrives is kept, within the window.
 *
 * With a refuge it outlives its link: it is `attached`, or waits `detached`, or
 * (an opener's end) has sent Resume and waits for the answer. What it has sent
 * is kept until acknowledged, and it is over only when both Fins are
 * acknowledged, although its user hears `onClose` as soon as both were sent.
 */
export class ChannelEnd implements Channel, Endpoint, Resumable {
  readonly target: Target;
  readonly principal: Principal;
  readonly metadata: Readonly<Record<string, string>>;
  readonly workload: string;
  readonly traffic: Traffic;
  readonly #opener: boolean;
  /** `performance.now()` of `Open`. */
  readonly openedAt = performance.now();
  readonly #refuge: Resumer | undefined;
  readonly #queue = new SendQueue();
  readonly #send: SendWindow;
  readonly #receive = new ReceiveWindow();
  readonly #meter: TrafficMeter;
  #uid: string;
  #host: ChannelHost;
  #number: number;
  #epoch = 1;
  #state: 'attached' | 'detached' | 'resuming' | 'over' = 'attached';
  #handler: ChannelHandler | undefined;
  #early: Buffer[] | undefined;
  #opened = false;
  #finReceived = false;
  /** For the user. */
  #closed = false;
  #wantsRoom = false;
  /** No agent has heard of the channel: it is opened anew instead of resumed. */
  #reopens = false;
  /** It was: what refuses it now may be another way than the one that was asked first. */
  #reopened = false;
  /** The user reset the channel while the other side could not be told. */
  #untold: { code: ChannelErrorCode; message: string } | undefined;

  constructor(
    host: ChannelHost,
    number: number,
    opener: boolean,
    facts: ChannelFacts,
    sendLimit?: number,
    refuge?: Resumer,
  ) {
    this.#host = host;
    this.#number = number;
    this.#opener = opener;
    this.#uid = facts.uid;
    this.target = facts.target;
    this.principal = facts.principal;
    this.metadata = facts.metadata;
    this.workload = facts.workload;
    this.traffic = facts.traffic;
    this.#meter = new TrafficMeter(facts.traffic);
    this.#send = new SendWindow(sendLimit);
    this.#refuge = refuge;
    if (refuge !== undefined) this.#queue.keep();
  }

  get uid(): string {
    return this.#uid;
  }

  get number(): number {
    return this.#number;
  }

  get link(): Link {
    return this.#host;
  }

  get opened(): boolean {
    return this.#opened;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get detached(): boolean {
    return this.#state === 'detached' || this.#state === 'resuming';
  }

  /** Nothing more will be said about it. */
  get over(): boolean {
    return this.#state === 'over';
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  get initialWindow(): number {
    return this.#receive.limit;
  }

  /** Everything below has arrived. */
  get received(): number {
    return this.#receive.received;
  }

  view(): ChannelView {
    const sent = this.#send.sent - (this.#queue.finSent ? 1 : 0);
    const received = this.#receive.received - (this.#finReceived ? 1 : 0);
    return {
      ...this.facts,
      side: this.#opener ? 'agent' : 'opener',
      openedHere: this.#opener,
      epoch: this.#epoch,
      ageMs: performance.now() - this.openedAt,
      toAgent: this.#opener ? sent : received,
      toOpener: this.#opener ? received : sent,
      state: this.#viewedState,
    };
  }

  get #viewedState(): ChannelState {
    if (this.#state === 'detached') return 'detached';
    if (!this.#opened || this.#state === 'resuming') return 'opening';
    if (this.#queue.finSent && this.#finReceived) return 'ended';
    return this.#queue.finSent || this.#finReceived ? 'half-closed' : 'open';
  }

  // ---- for the user --------------------------------------------------------

  setHandler(handler: ChannelHandler): void {
    this.#handler = handler;
    const early = this.#early;
    if (early === undefined) return;
    this.#early = undefined;
    for (const chunk of early) if (!this.#closed) handler.onData(chunk);
    if (this.#finReceived && !this.#closed) handler.onEnd();
  }

  /** The bytes that came before there was a handler: for a switch, which takes them over. */
  takeEarly(): Buffer[] {
    const early = this.#early ?? [];
    this.#early = undefined;
    return early;
  }

  get finReceived(): boolean {
    return this.#finReceived;
  }

  get sendLimit(): number {
    return this.#send.limit;
  }

  /** A switch has taken the channel's place on the link: this end does nothing any more. */
  abandon(): void {
    this.#closed = true;
    this.#end();
  }

  setTraffic(traffic: Traffic): void {
    this.#meter.set(traffic);
  }

  accept(): void {
    if (this.#opener || this.#opened || this.#closed) return;
    this.#opened = true;
    if (this.#state === 'attached') this.#host.sendOpened(this, this.#receive.limit);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || this.#queue.finQueued) return false;
    if (chunk.length > 0) {
      this.#queue.push(asBuffer(chunk));
      if (this.#state === 'attached') {
        this.#host.onQueued(chunk.length);
        if (this.#room > 0) this.#host.wake(this);
        else this.#host.onStall();
      }
    }
    if (this.#queue.bytes <= WRITE_HIGH_WATER_BYTES) return true;
    this.#wantsRoom = true;
    return false;
  }

  end(): void {
    if (this.#closed || this.#queue.finQueued) return;
    this.#queue.end();
    if (this.sendable) this.#host.wake(this);
  }

  reset(code: ChannelErrorCode, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    const why = { code, message: reason };
    if (this.#state === 'attached') {
      this.#host.sendReset(this, code, reason);
      this.#end(why);
    } else if (this.#opener) {
      // Whoever finds a link tells the agent, so that nothing goes on for nobody.
      this.#untold = why;
    } else this.#end(why);
  }

  consumed(bytes: number): void {
    if (this.#closed) return;
    if (this.#receive.consume(bytes, performance.now(), this.#host.rttEstimateMs)) {
      if (this.#state === 'attached') this.#host.sendCreditNow(this);
    } else if (this.#state === 'attached') this.#host.sendCreditLater(this);
  }

  // ---- for the link --------------------------------------------------------

  /** Over the budget for what is kept, less may be under way than the other side allows. */
  get #room(): number {
    const room = this.#send.room;
    if (this.#refuge === undefined) return room;
    const allowance = replayBudget.allowance;
    if (allowance === Infinity) return room;
    return Math.max(0, Math.min(room, this.#send.acked + allowance - this.#send.sent));
  }

  get sendable(): boolean {
    return this.#state === 'attached' && this.#queue.sendable(this.#room);
  }

  isBulk(now: number): boolean {
    return this.#meter.isBulk(now);
  }

  emit(batch: Batch, max: number, now: number): number {
    const sent = this.#queue.emit(batch, this.#number, this.#send.sent, Math.min(max, this.#room));
    this.#send.sent += sent;
    this.#host.onQueued(-sent);
    if (this.#queue.finSent) this.#send.sent += 1;
    if (this.#queue.bytes > 0 && this.#room === 0) this.#host.onStall();
    this.#meter.sent(sent, now);
    return sent;
  }

  afterEmit(): void {
    if (this.#state !== 'attached') return;
    if (this.#wantsRoom && !this.#closed && this.#queue.bytes <= WRITE_LOW_WATER_BYTES) {
      this.#wantsRoom = false;
      this.#handler?.onWritable?.();
    }
    this.#settle();
  }

  emitCredit(batch: Batch): void {
    if (this.#state !== 'attached' || !this.#receive.owesCredit) return;
    this.#receive.credited();
    batch.credit(this.#number, this.#receive.consumed, this.#receive.limit);
  }

  onOpened(initialWindow: number): void {
    // It is said once more after each Resume.
    if (this.#opened && this.#epoch > 1) return;
    if (!this.#opener || this.#opened) throw misplaced('a second or unasked Opened');
    this.#opened = true;
    this.#send.update(this.#send.acked, initialWindow);
    if (this.sendable) this.#host.wake(this);
    this.#host.onChannelOpened(performance.now() - this.openedAt);
    if (!this.#closed) this.#handler?.onOpened?.();
  }

  onData(offset: number, payload: Buffer): void {
    if (this.#finReceived || !this.#receive.accept(offset, payload.length)) {
      throw misplaced('data out of place or beyond its credit');
    }
    if (this.#closed) return;
    if (this.#handler !== undefined) this.#handler.onData(payload);
    else (this.#early ??= []).push(payload);
  }

  onCredit(acked: number, limit: number): void {
    if (!this.#send.update(acked, limit))
      throw misplaced('an acknowledgement of what was never sent');
    this.#queue.acknowledge(acked);
    if (this.sendable) this.#host.wake(this);
    this.#settle();
  }

  onFin(offset: number): void {
    if (this.#finReceived || !this.#receive.acceptFin(offset))
      throw misplaced('a Fin out of place');
    this.#finReceived = true;
    this.#host.sendCreditLater(this);
    if (this.#closed) return this.#settle();
    if (this.#handler === undefined) {
      this.#early ??= [];
      return;
    }
    this.#handler.onEnd();
    this.#settle();
  }

  onReset(error: TunnelError): void {
    if (this.#state === 'over') return;
    if (this.#refuge !== undefined && this.#opener && !this.#opened) {
      this.#reopens = neverBegan(error) && this.#send.acked === 0;
      if (this.#reopens && this.#untold !== undefined) return this.#end(error);
      if (this.#reopens || (this.#reopened && mayWorkElsewhere(error))) return this.#detach(error);
    }
    if (this.#state === 'resuming' && mayWorkElsewhere(error)) return this.#detach(error);
    this.#fail(error);
  }

  onDraining(): void {
    if (this.#opener) this.#refuge?.onDraining?.(this);
  }

  onSilent(): void {
    if (this.#opener) this.#refuge?.onSilent?.(this);
  }

  onLinkLost(error: TunnelError): void {
    if (this.#state === 'over') return;
    if (outlivesItsLink(error)) this.onDetached(error);
    else this.#fail(error);
  }

  /** This attachment is no more. */
  onDetached(error: TunnelError): void {
    if (this.#state === 'over') return;
    if (this.#refuge === undefined) this.#fail(error);
    else this.#detach(error);
  }

  // ---- attachments -----------------------------------------------------------

  /** The opener's side: takes a number on another link, and asks the agent to go on there. */
  resumeOn(host: ChannelHost, number: number, workload = this.workload): FrameKind | undefined {
    if (this.#refuge === undefined || this.#state === 'over') return undefined;
    this.#leave();
    this.#host = host;
    this.#number = number;
    if (this.#reopens) return this.#openAgain(workload);
    this.#epoch += 1;
    this.#state = 'resuming';
    this.#receive.credited();
    return {
      case: 'resume',
      value: {
        channel: number,
        uid: Buffer.from(this.uid, 'hex'),
        epoch: this.#epoch,
        received: BigInt(this.#receive.received),
        limit: BigInt(this.#receive.limit),
        principal: this.principal,
        workload,
        ended: this.#finReceived,
        ageMs: BigInt(Math.ceil(performance.now() - this.openedAt)),
      },
    };
  }

  /** Under another uid: should the first Open still be on some way, the agent refuses it. */
  #openAgain(workload: string): FrameKind {
    this.#reopens = false;
    this.#reopened = true;
    const uid = newUid();
    if (traces.active) traces.renamed(this.#uid, this.#host, uid);
    this.#uid = uid;
    this.#epoch = 1;
    this.#attach({ received: 0, limit: this.#host.maySendFirst, ended: false });
    this.#refuge?.onAttached?.(this);
    return openFrame(this.#number, this.facts, this.#receive.limit, workload);
  }

  get facts(): ChannelFacts {
    const { uid, target, principal, metadata, workload, traffic } = this;
    return { uid, target, principal, metadata, workload, traffic };
  }

  /** The agent has everything below `received`. */
  onResumed(position: Position): void {
    if (this.#state !== 'resuming') throw misplaced('a Resumed that nobody asked for');
    if (!this.#reaches(position)) {
      this.#host.sendReset(this, 'protocol-error', IMPOSSIBLE_OFFSET);
      return this.#fail(new TunnelError('protocol-error', IMPOSSIBLE_OFFSET));
    }
    this.#attach(position);
    this.#refuge?.onAttached?.(this);
    if (this.#untold === undefined) return;
    this.#host.sendReset(this, this.#untold.code, this.#untold.message);
    this.#end(this.#untold);
  }

  /** The agent's side. Undefined: it goes on here; else the reason why it may not. */
  resumedBy(host: ChannelHost, number: number, asked: Asked): TunnelError | undefined {
    if (asked.principal.userId !== this.principal.userId) {
      return new TunnelError('not-allowed', 'The channel belongs to somebody else.');
    }
    if (asked.epoch <= this.#epoch) {
      return new TunnelError('protocol-error', 'The channel is attached elsewhere since.');
    }
    if (!this.#reaches(asked)) return new TunnelError('protocol-error', IMPOSSIBLE_OFFSET);
    if (this.#state === 'attached') {
      this.#host.send({
        case: 'detached',
        value: { channel: this.#number, reason: 'The channel goes on over another link.' },
      });
    }
    this.#leave();
    this.#host = host;
    this.#number = number;
    this.#epoch = asked.epoch;
    this.#receive.credited();
    host.send({
      case: 'resumed',
      value: {
        channel: number,
        received: BigInt(this.#receive.received),
        limit: BigInt(this.#receive.limit),
        ended: this.#finReceived,
      },
    });
    if (this.#opened) host.sendOpened(this, this.#receive.limit);
    this.#attach(asked);
    this.#refuge?.onAttached?.(this);
    return undefined;
  }

  /** No link was found in time. */
  fail(error: TunnelError): void {
    if (this.#state === 'over') return;
    // Both said all they had: what is missing is only the last acknowledgement.
    if (this.#closed) this.#end();
    else this.#fail(error);
  }

  #reaches({ received }: Position): boolean {
    return received >= this.#send.acked && received <= this.#send.sent;
  }

  #attach({ received, limit }: Position): void {
    this.#queue.rewind(received);
    this.#send.restart(received, limit);
    this.#state = 'attached';
    this.#host.onQueued(this.#queue.bytes);
    if (this.#receive.owesCredit) this.#host.sendCreditNow(this);
    if (this.sendable) this.#host.wake(this);
    this.#settle();
  }

  /** Of the present link; nothing is told to anybody. */
  #leave(): void {
    if (this.#state === 'attached') this.#host.onQueued(-this.#queue.bytes);
    if (this.#state !== 'detached') this.#host.forget(this);
  }

  #detach(error: TunnelError): void {
    this.#leave();
    this.#state = 'detached';
    this.#refuge?.onDetached(this, error);
  }

  // ---- ends --------------------------------------------------------------------

  #settle(): void {
    if (this.#state !== 'attached' || !this.#queue.finSent || !this.#finReceived) return;
    const first = !this.#closed;
    this.#closed = true;
    // A switch on the way waits for it, whether or not this end would resume.
    if (first && this.#host.resumes) this.#acknowledgeAll();
    if (this.#refuge === undefined || this.#send.acked >= this.#queue.endOffset) this.#end();
    if (first) this.#handler?.onClose();
  }

  /** The last Credit: as a frame of its own, since this end may be over before one would leave. */
  #acknowledgeAll(): void {
    this.#early = undefined;
    this.#receive.consumeAll();
    this.#receive.credited();
    const { consumed, limit } = this.#receive;
    this.#host.send({
      case: 'credit',
      value: { channel: this.#number, acked: BigInt(consumed), limit: BigInt(limit) },
    });
  }

  #fail(error: TunnelError): void {
    const tell = !this.#closed;
    this.#closed = true;
    this.#end(error);
    if (tell) this.#handler?.onClose(error);
  }

  #end(why?: Pick<TunnelError, 'code' | 'message'>): void {
    if (this.#state === 'over') return;
    this.#leave();
    this.#state = 'over';
    this.#queue.clear();
    this.#early = undefined;
    this.#receive.release();
    this.#refuge?.onOver?.(this, why);
    if (this.#opener && traces.active) traces.over(this.#uid, this.#host, true, why);
  }
}

export const IMPOSSIBLE_OFFSET = 'The channel was to go on from an offset that it never had.';

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk)
    ? chunk
    : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

function misplaced(what: string): TunnelError {
  return new TunnelError('protocol-error', `The peer sent ${what}.`);
}
