import { TunnelError } from '../errors.ts';
import type { ChannelErrorCode } from '../errors.ts';
import { WRITE_HIGH_WATER_BYTES, WRITE_LOW_WATER_BYTES } from '../limits.ts';
import type { Channel, ChannelHandler, Link, Principal, Target, Traffic } from '../types.ts';
import type { Batch } from '../wire/encode.ts';
import type { Endpoint } from './endpoint.ts';
import { ReceiveWindow, SendWindow } from './flow-control.ts';
import { SendQueue } from './send-queue.ts';
import { TrafficMeter } from './traffic-meter.ts';

/** What a channel asks of its link. */
export interface ChannelHost extends Link {
  readonly rttEstimateMs: number;
  /** The endpoint has something to send. */
  wake(endpoint: Endpoint): void;
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
 */
export class ChannelEnd implements Channel, Endpoint {
  readonly number: number;
  readonly uid: string;
  readonly target: Target;
  readonly principal: Principal;
  readonly metadata: Readonly<Record<string, string>>;
  readonly workload: string;
  readonly traffic: Traffic;
  readonly #host: ChannelHost;
  readonly #opener: boolean;
  /** `performance.now()` of the opener's `Open`. */
  readonly #askedAt: number;
  readonly #queue = new SendQueue();
  readonly #send: SendWindow;
  readonly #receive = new ReceiveWindow();
  readonly #meter: TrafficMeter;
  #handler: ChannelHandler | undefined;
  #early: Buffer[] | undefined;
  #opened = false;
  #finReceived = false;
  #closed = false;
  #wantsRoom = false;

  constructor(
    host: ChannelHost,
    number: number,
    opener: boolean,
    facts: ChannelFacts,
    sendLimit?: number,
  ) {
    this.#host = host;
    this.number = number;
    this.#opener = opener;
    this.#askedAt = opener ? performance.now() : 0;
    this.uid = facts.uid;
    this.target = facts.target;
    this.principal = facts.principal;
    this.metadata = facts.metadata;
    this.workload = facts.workload;
    this.traffic = facts.traffic;
    this.#meter = new TrafficMeter(facts.traffic);
    this.#send = new SendWindow(sendLimit);
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

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  get initialWindow(): number {
    return this.#receive.limit;
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
    this.#close();
  }

  setTraffic(traffic: Traffic): void {
    this.#meter.set(traffic);
  }

  accept(): void {
    if (this.#opener || this.#opened || this.#closed) return;
    this.#opened = true;
    this.#host.sendOpened(this, this.#receive.limit);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || this.#queue.finQueued) return false;
    if (chunk.length > 0) {
      this.#queue.push(asBuffer(chunk));
      this.#host.onQueued(chunk.length);
      if (this.#send.room > 0) this.#host.wake(this);
      else this.#host.onStall();
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
    this.#close();
    this.#host.sendReset(this, code, reason);
    this.#host.forget(this);
  }

  consumed(bytes: number): void {
    if (this.#closed) return;
    if (this.#receive.consume(bytes, performance.now(), this.#host.rttEstimateMs)) {
      this.#host.sendCreditNow(this);
    } else this.#host.sendCreditLater(this);
  }

  // ---- for the link --------------------------------------------------------

  get sendable(): boolean {
    return !this.#closed && this.#queue.sendable(this.#send.room);
  }

  isBulk(now: number): boolean {
    return this.#meter.isBulk(now);
  }

  emit(batch: Batch, max: number, now: number): number {
    const sent = this.#queue.emit(
      batch,
      this.number,
      this.#send.sent,
      Math.min(max, this.#send.room),
    );
    this.#send.sent += sent;
    this.#host.onQueued(-sent);
    if (this.#queue.finSent) this.#send.sent += 1;
    if (this.#queue.bytes > 0 && this.#send.room === 0) this.#host.onStall();
    this.#meter.sent(sent, now);
    return sent;
  }

  afterEmit(): void {
    if (this.#closed) return;
    if (this.#wantsRoom && this.#queue.bytes <= WRITE_LOW_WATER_BYTES) {
      this.#wantsRoom = false;
      this.#handler?.onWritable?.();
    }
    if (this.#queue.finSent && this.#finReceived) this.#finish();
  }

  emitCredit(batch: Batch): void {
    if (this.#closed || !this.#receive.owesCredit) return;
    this.#receive.credited();
    batch.credit(this.number, this.#receive.consumed, this.#receive.limit);
  }

  onOpened(initialWindow: number): void {
    if (!this.#opener || this.#opened) throw misplaced('a second or unasked Opened');
    this.#opened = true;
    this.#send.update(0, initialWindow);
    if (this.sendable) this.#host.wake(this);
    this.#host.onChannelOpened(performance.now() - this.#askedAt);
    this.#handler?.onOpened?.();
  }

  onData(offset: number, payload: Buffer): void {
    if (this.#finReceived || !this.#receive.accept(offset, payload.length)) {
      throw misplaced('data out of place or beyond its credit');
    }
    if (this.#handler !== undefined) this.#handler.onData(payload);
    else (this.#early ??= []).push(payload);
  }

  onCredit(acked: number, limit: number): void {
    if (!this.#send.update(acked, limit))
      throw misplaced('an acknowledgement of what was never sent');
    if (this.sendable) this.#host.wake(this);
  }

  onFin(offset: number): void {
    if (this.#finReceived || !this.#receive.acceptFin(offset))
      throw misplaced('a Fin out of place');
    this.#finReceived = true;
    this.#host.sendCreditLater(this);
    if (this.#handler === undefined) {
      this.#early ??= [];
      return;
    }
    this.#handler.onEnd();
    if (!this.#closed && this.#queue.finSent) this.#finish();
  }

  onReset(error: TunnelError): void {
    if (this.#closed) return;
    this.#close();
    this.#host.forget(this);
    this.#handler?.onClose(error);
  }

  onLinkLost(error: TunnelError): void {
    if (this.#closed) return;
    this.#close();
    this.#handler?.onClose(error);
  }

  #finish(): void {
    this.#close();
    this.#host.forget(this);
    this.#handler?.onClose();
  }

  #close(): void {
    this.#closed = true;
    this.#host.onQueued(-this.#queue.bytes);
    this.#queue.clear();
    this.#early = undefined;
    this.#receive.release();
  }
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk)
    ? chunk
    : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

function misplaced(what: string): TunnelError {
  return new TunnelError('protocol-error', `The peer sent ${what}.`);
}
