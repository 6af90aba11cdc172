import type { ChannelErrorCode, TunnelError } from '../errors.ts';
import type { ChannelState, ChannelView, Side } from '../trace/view.ts';
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
import type { Batch } from '../wire/encode.ts';
import type { ChannelFacts } from './channel-facts.ts';
import type { ChannelHost } from './channel-host.ts';
import type { Endpoint, Position } from './endpoint.ts';
import { misplaced } from './misplaced.ts';
import { ReceivingHalf } from './receiving-half.ts';
import { outlivesItsLink } from './resume-rules.ts';
import { SendingHalf } from './sending-half.ts';

/** How a channel ended, unless in order. */
export type Why = Pick<TunnelError, 'code' | 'message'>;

/**
 * One end of a channel: what its user sees (Channel), and what its link does with
 * it (Endpoint). While no handler is set (an accepted channel whose route is being
 * looked up), what arrives is kept, within the window.
 *
 * With a refuge it outlives its link: it is `attached`, or waits `detached`, or
 * (an opener's end) has sent Resume and waits for the answer. What it has sent
 * is kept until acknowledged, and it is over only when both Fins are
 * acknowledged, although its user hears `onClose` as soon as both were sent.
 *
 * What only one side of a channel does is in OpenerEnd and AcceptorEnd.
 */
export abstract class ChannelEnd implements Channel, Endpoint, Resumable {
  readonly target: Target;
  readonly principal: Principal;
  readonly metadata: Readonly<Record<string, string>>;
  readonly workload: string;
  readonly traffic: Traffic;
  /** `performance.now()` of `Open`. */
  readonly openedAt = performance.now();
  protected readonly refuge: Resumer | undefined;
  protected readonly sending: SendingHalf;
  protected readonly receiving = new ReceivingHalf();
  protected host: ChannelHost;
  protected epoch = 1;
  protected state: 'attached' | 'detached' | 'resuming' | 'over' = 'attached';
  protected handler: ChannelHandler | undefined;
  #uid: string;
  #number: number;
  #opened = false;
  /** For the user. */
  #closed = false;

  constructor(
    host: ChannelHost,
    number: number,
    facts: ChannelFacts,
    sendLimit: number,
    refuge: Resumer | undefined,
  ) {
    this.host = host;
    this.#number = number;
    this.#uid = facts.uid;
    this.target = facts.target;
    this.principal = facts.principal;
    this.metadata = facts.metadata;
    this.workload = facts.workload;
    this.traffic = facts.traffic;
    this.sending = new SendingHalf(facts.traffic, refuge !== undefined, sendLimit);
    this.refuge = refuge;
  }

  get uid(): string {
    return this.#uid;
  }

  get number(): number {
    return this.#number;
  }

  get link(): Link {
    return this.host;
  }

  get opened(): boolean {
    return this.#opened;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get detached(): boolean {
    return this.state === 'detached' || this.state === 'resuming';
  }

  /** Nothing more will be said about it. */
  get over(): boolean {
    return this.state === 'over';
  }

  get queuedBytes(): number {
    return this.sending.queuedBytes;
  }

  get initialWindow(): number {
    return this.receiving.limit;
  }

  get facts(): ChannelFacts {
    const { uid, target, principal, metadata, workload, traffic } = this;
    return { uid, target, principal, metadata, workload, traffic };
  }

  /** Where the link leads. */
  protected abstract readonly side: Side;

  view(): ChannelView {
    const toAgent = this.side === 'agent';
    const sent = this.sending.sentBytes;
    const received = this.receiving.receivedBytes;
    return {
      ...this.facts,
      side: this.side,
      openedHere: toAgent,
      epoch: this.epoch,
      ageMs: performance.now() - this.openedAt,
      toAgent: toAgent ? sent : received,
      toOpener: toAgent ? received : sent,
      state: this.#viewedState,
    };
  }

  get #viewedState(): ChannelState {
    if (this.state === 'detached') return 'detached';
    if (!this.#opened || this.state === 'resuming') return 'opening';
    const { finSent } = this.sending;
    if (finSent && this.receiving.ended) return 'ended';
    return finSent || this.receiving.ended ? 'half-closed' : 'open';
  }

  // ---- for the user --------------------------------------------------------

  setHandler(handler: ChannelHandler): void {
    this.handler = handler;
    const early = this.receiving.takeEarly();
    if (early === undefined) return;
    for (const chunk of early) if (!this.#closed) handler.onData(chunk);
    if (this.receiving.ended && !this.#closed) handler.onEnd();
  }

  setTraffic(traffic: Traffic): void {
    this.sending.setTraffic(traffic);
  }

  abstract accept(): void;

  write(chunk: Uint8Array): boolean {
    const { sending } = this;
    if (this.#closed || sending.finQueued) return false;
    if (chunk.length > 0) {
      sending.push(asBuffer(chunk));
      if (this.state === 'attached') {
        this.host.onQueued(chunk.length);
        if (sending.room > 0) this.host.wake(this);
        else this.host.onStall();
      }
    }
    return sending.takesMore();
  }

  end(): void {
    if (this.#closed || this.sending.finQueued) return;
    this.sending.end();
    if (this.sendable) this.host.wake(this);
  }

  reset(code: ChannelErrorCode, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    const why = { code, message: reason };
    if (this.state !== 'attached') return this.resetDetached(why);
    this.host.sendReset(this, code, reason);
    this.finish(why);
  }

  /** The user is done with it, and there is no link to say so. */
  protected abstract resetDetached(why: { code: ChannelErrorCode; message: string }): void;

  consumed(bytes: number): void {
    if (this.#closed) return;
    if (this.receiving.consume(bytes, performance.now(), this.host.rttEstimateMs)) {
      if (this.state === 'attached') this.host.sendCreditNow(this);
    } else if (this.state === 'attached') this.host.sendCreditLater(this);
  }

  // ---- for the link --------------------------------------------------------

  get sendable(): boolean {
    return this.state === 'attached' && this.sending.sendable;
  }

  isBulk(now: number): boolean {
    return this.sending.isBulk(now);
  }

  emit(batch: Batch, max: number, now: number): number {
    const sent = this.sending.emit(batch, this.#number, max, now);
    this.host.onQueued(-sent);
    if (this.sending.stalled) this.host.onStall();
    return sent;
  }

  afterEmit(): void {
    if (this.state !== 'attached') return;
    if (!this.#closed && this.sending.roomAgain()) this.handler?.onWritable?.();
    this.settle();
  }

  emitCredit(batch: Batch): void {
    if (this.state === 'attached') this.receiving.emitCredit(batch, this.#number);
  }

  abstract onOpened(initialWindow: number): void;

  onData(offset: number, payload: Buffer): void {
    this.receiving.accept(offset, payload.length);
    if (this.#closed) return;
    if (this.handler !== undefined) this.handler.onData(payload);
    else this.receiving.keep(payload);
  }

  onCredit(acked: number, limit: number): void {
    if (!this.sending.credit(acked, limit)) {
      throw misplaced('an acknowledgement of what was never sent');
    }
    if (this.sendable) this.host.wake(this);
    this.settle();
  }

  onFin(offset: number): void {
    this.receiving.acceptFin(offset);
    this.host.sendCreditLater(this);
    if (!this.#closed) {
      if (this.handler === undefined) return this.receiving.keepEnd();
      this.handler.onEnd();
    }
    this.settle();
  }

  onReset(error: TunnelError): void {
    if (this.state !== 'over') this.breakOff(error);
  }

  abstract onResumed(position: Position): void;
  abstract onDraining(): void;
  abstract onSilent(): void;

  onLinkLost(error: TunnelError): void {
    if (this.state === 'over') return;
    if (outlivesItsLink(error)) this.onDetached(error);
    else this.breakOff(error);
  }

  /** This attachment is no more. */
  onDetached(error: TunnelError): void {
    if (this.state === 'over') return;
    if (this.refuge === undefined) this.breakOff(error);
    else this.detach(error);
  }

  // ---- attachments -----------------------------------------------------------

  /** Leaves the present link, of which nobody is told, for a number on another. */
  protected moveTo(host: ChannelHost, number: number): void {
    this.#leave();
    this.host = host;
    this.#number = number;
  }

  /** It goes on here, from where the other side stands. */
  protected attach(position: Position): void {
    this.sending.restart(position);
    this.state = 'attached';
    this.host.onQueued(this.sending.queuedBytes);
    if (this.receiving.owesCredit) this.host.sendCreditNow(this);
    if (this.sendable) this.host.wake(this);
    this.settle();
  }

  protected detach(error: TunnelError): void {
    this.#leave();
    this.state = 'detached';
    this.refuge?.onDetached(this, error);
  }

  #leave(): void {
    if (this.state === 'attached') this.host.onQueued(-this.sending.queuedBytes);
    if (this.state !== 'detached') this.host.forget(this);
  }

  // ---- beginning and end -------------------------------------------------------

  protected markOpened(): void {
    this.#opened = true;
  }

  protected rename(uid: string): void {
    this.#uid = uid;
  }

  /** The user hears of nothing any more. */
  protected markClosed(): void {
    this.#closed = true;
  }

  /** No link was found in time. */
  fail(error: TunnelError): void {
    if (this.state === 'over') return;
    // Both said all they had: what is missing is only the last acknowledgement.
    if (this.#closed) this.finish();
    else this.breakOff(error);
  }

  protected settle(): void {
    if (this.state !== 'attached' || !this.sending.finSent || !this.receiving.ended) return;
    const first = !this.#closed;
    this.#closed = true;
    // A switch on the way waits for it, whether or not this end would resume.
    // As a frame of its own, since this end may be over before a batch is filled.
    if (first && this.host.resumes) this.host.send(this.receiving.lastCredit(this.#number));
    if (this.refuge === undefined || this.sending.acknowledged) this.finish();
    if (first) this.handler?.onClose();
  }

  protected breakOff(error: TunnelError): void {
    const tell = !this.#closed;
    this.#closed = true;
    this.finish(error);
    if (tell) this.handler?.onClose(error);
  }

  /** Without `why` in order. Idempotent. */
  protected finish(why?: Why): void {
    if (this.state === 'over') return;
    this.#leave();
    this.state = 'over';
    this.sending.clear();
    this.receiving.release();
    this.refuge?.onOver?.(this, why);
  }
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk)
    ? chunk
    : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
