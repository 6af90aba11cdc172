import { TunnelError } from '../errors.ts';
import type { ChannelErrorCode } from '../errors.ts';
import { INITIAL_WINDOW_BYTES, SWITCH_BUDGET_BYTES, SWITCH_GUARANTEE_BYTES } from '../limits.ts';
import { traces } from '../trace/traces.ts';
import type { ChannelState, ChannelView } from '../trace/view.ts';
import type { Batch } from '../wire/encode.ts';
import type { Endpoint, Position } from './endpoint.ts';
import type { JoinEvents, Joined, SwitchedFacts } from './joined.ts';
import type { LinkCore } from './link.ts';
import { misplaced } from './misplaced.ts';
import { creditFrame, resumedFrame } from './position-frames.ts';
import { mayWorkElsewhere, outlivesItsLink } from './resume-rules.ts';
import { SendingHalf } from './sending-half.ts';
import { switchPool } from './switch-pool.ts';

/** Until Resumed tells from where the opener goes on, nothing of its own is in place. */
const UNKNOWN_OFFSET = -1;

/** One side of a switched channel. `sending` is what goes out on its own link, arrived on the other's. */
export class Leg implements Endpoint, Joined {
  readonly number: number;
  readonly #host: LinkCore;
  readonly #facts: SwitchedFacts;
  readonly #outgoing: boolean;
  readonly #sending: SendingHalf;
  #other!: Leg;
  #received = 0;
  #finReceived = false;
  /** What this leg's peer may send before anything has come from it. */
  readonly #first: number;
  /** The limit this leg's peer was told. */
  #promised: number;
  /** What of it was taken from the pool. */
  #pooled = 0;
  #done = false;
  #events: JoinEvents | undefined;
  /** What the agent's side is still to say, once each. */
  #awaits: { opened: boolean; resumed: boolean };
  /** Both ends wait for the acknowledgement of their Fins: this leg's peer has been given it. */
  #acknowledged = false;

  /** `outgoing`: towards the agent. `sendLimit`: what its peer allows for now. */
  constructor(
    host: LinkCore,
    number: number,
    facts: SwitchedFacts,
    outgoing: boolean,
    sendLimit: number,
  ) {
    this.#host = host;
    this.#facts = facts;
    this.#outgoing = outgoing;
    this.#first = this.#promised = outgoing ? INITIAL_WINDOW_BYTES : host.mayReceiveFirst;
    this.#awaits = { opened: outgoing, resumed: false };
    this.number = number;
    this.#sending = new SendingHalf(facts.traffic ?? 'auto', false, sendLimit);
  }

  join(other: Leg, events: JoinEvents | undefined): void {
    this.#other = other;
    this.#events = events;
  }

  /** What goes out on this leg begins at `received`, and so does what comes in on the other. */
  startAt(position: Position): void {
    const { received, ended } = position;
    this.#sending.restart(position);
    this.#other.#received = received;
    this.#other.#promised = received;
    if (!ended) return;
    this.#sending.endedAt(received);
    // Its sender knows by the very offset that this Fin arrived.
    this.#other.#finReceived = this.#other.#acknowledged = true;
  }

  /** It carries a Resume, which its peer is to answer. */
  awaitResumed(): void {
    this.#awaits.resumed = true;
    this.#other.#received = UNKNOWN_OFFSET;
  }

  get closed(): boolean {
    return this.#done;
  }

  get uid(): string {
    return this.#facts.uid;
  }

  view(): ChannelView {
    const { openedAt, ...facts } = this.#facts;
    const [near, far] = this.#ends();
    return {
      ...facts,
      side: this.#outgoing ? 'agent' : 'opener',
      openedHere: false,
      ageMs: performance.now() - openedAt,
      toAgent: Math.max(0, near.#received),
      toOpener: far.#received,
      state: this.#state(near, far),
    };
  }

  #state(near: Leg, far: Leg): ChannelState {
    if (far.#awaits.opened || far.#awaits.resumed) return 'opening';
    if (near.#finReceived && far.#finReceived) return 'ended';
    return near.#finReceived || far.#finReceived ? 'half-closed' : 'open';
  }

  /** Towards the opener, towards the agent. */
  #ends(): readonly [near: Leg, far: Leg] {
    return this.#outgoing ? [this.#other, this] : [this, this.#other];
  }

  /** Both legs are done with, and the channel with them. */
  #over(why?: Pick<TunnelError, 'code' | 'message'>): void {
    if (traces.active) traces.over(this.uid, this.#ends()[0].#host, false, why);
  }

  reset(code: ChannelErrorCode, reason: string): void {
    if (this.#done) return;
    const other = this.#other;
    this.#close();
    other.#close();
    for (const leg of [this, other]) {
      leg.#host.sendReset(leg, code, reason);
      leg.#host.forget(leg);
    }
    this.#over({ code, message: reason });
  }

  /** The limit to tell this leg's peer now: what the far end allows, within the budgets of channel and process. */
  promise(): number {
    const onward = this.#other.#sending;
    const limit = Math.min(onward.limit, onward.sent + this.#budget);
    const sure = Math.max(onward.sent + SWITCH_GUARANTEE_BYTES, this.#first);
    const beyond = Math.max(0, Math.max(limit, this.#promised) - sure);
    if (beyond > this.#pooled) this.#pooled += switchPool.take(beyond - this.#pooled);
    else this.#giveBack(beyond);
    this.#promised = Math.max(this.#promised, Math.min(limit, sure + this.#pooled));
    return this.#promised;
  }

  /** Most channels carry little: the pool is for those that have used half of what they began with. */
  get #budget(): number {
    return this.#received < this.#first / 2 ? this.#first : SWITCH_BUDGET_BYTES;
  }

  #giveBack(keep: number): void {
    switchPool.give(this.#pooled - keep);
    this.#pooled = keep;
  }

  get sendable(): boolean {
    return !this.#done && this.#sending.sendable;
  }

  isBulk(now: number): boolean {
    return this.#sending.isBulk(now);
  }

  emit(batch: Batch, max: number, now: number): number {
    const sending = this.#sending;
    const sent = sending.emit(batch, this.number, max, now);
    this.#host.onQueued(-sent);
    const other = this.#other;
    const sendable = Math.min(sending.limit, sending.sent + other.#budget);
    const worthSaying = Math.min(SWITCH_BUDGET_BYTES / 4, other.#first);
    if (sendable - other.#promised >= worthSaying) other.creditSoon();
    return sent;
  }

  afterEmit(): void {
    if (this.#done || !this.#bothEnded) return;
    const { resumes } = this.#host;
    if (resumes && this.#other.#host.resumes) this.#linger();
    else this.#finish();
  }

  /** Both Fins have been passed on. */
  get #bothEnded(): boolean {
    return this.#sending.finSent && this.#other.#sending.finSent;
  }

  creditSoon(): void {
    if (!this.#done) this.#host.sendCreditNow(this);
  }

  emitCredit(batch: Batch): void {
    if (this.#done) return;
    const { acked, endOffset } = this.#other.#sending;
    batch.credit(this.number, acked, this.promise());
    if (acked < endOffset) return;
    this.#acknowledged = true;
    if (this.#other.#acknowledged) this.#finish();
  }

  onOpened(initialWindow: number): void {
    // What one link's peer makes up must not end the other link.
    if (!this.#awaits.opened) throw misplaced('a second or unasked Opened');
    this.#awaits.opened = false;
    this.#sending.allow(initialWindow);
    this.#other.#host.sendOpened(this.#other, this.#other.promise());
    if (this.sendable) this.#host.wake(this);
  }

  /** The far end of a resumed channel tells where it stands. */
  onResumed(position: Position): void {
    if (!this.#awaits.resumed) throw misplaced('a Resumed that nobody asked for');
    this.#awaits.resumed = false;
    this.startAt(position);
    const { received, ended } = position;
    const other = this.#other;
    other.#host.send(resumedFrame(other.number, { received, limit: other.promise(), ended }));
    // Both ends have everything, and are over: there is nothing to acknowledge.
    if (this.#bothEnded) this.#finish();
  }

  onDetached(error: TunnelError): void {
    this.#host.forget(this);
    this.#detach(error);
  }

  onData(offset: number, payload: Buffer): void {
    if (
      this.#finReceived ||
      offset !== this.#received ||
      offset + payload.length > this.#promised
    ) {
      throw misplaced('data out of place or beyond its credit');
    }
    this.#received += payload.length;
    this.#other.#push(payload);
  }

  onFin(offset: number): void {
    if (this.#finReceived || offset !== this.#received) {
      throw misplaced('a Fin out of place');
    }
    this.#finReceived = true;
    this.#other.#end();
  }

  onCredit(acked: number, limit: number): void {
    if (!this.#sending.credit(acked, limit)) {
      throw misplaced('an acknowledgement of what was never sent');
    }
    if (this.sendable) this.#host.wake(this);
    this.#other.creditSoon();
  }

  onReset(error: TunnelError): void {
    this.#host.forget(this);
    this.#abort(error);
  }

  onLinkLost(error: TunnelError): void {
    const lost = new TunnelError('agent-gone', `A link on the way was lost: ${error.message}`, {
      cause: error,
    });
    if (outlivesItsLink(error) && this.#host.resumes && this.#other.#host.resumes) {
      this.#detach(lost, error.message);
    } else this.#abort(lost);
  }

  /** The channel lives on at its ends, without this switch. */
  #detach(error: TunnelError, reason = error.message): void {
    if (this.#done) return;
    const other = this.#other;
    const lingers = this.#bothEnded;
    this.#close();
    other.#close();
    other.#host.sendDetached(other, reason);
    other.#host.forget(other);
    if (lingers) this.#over();
    else this.#events?.onEnd?.(error);
  }

  detach(reason: string): void {
    const other = this.#other;
    if (this.#done || !this.#host.resumes || !other.#host.resumes) return;
    this.#host.sendDetached(this, reason);
    this.#host.forget(this);
    this.#detach(new TunnelError('draining', reason));
  }

  onDraining(): void {
    // The opener is asked over its own link, and moves by itself.
    if (this.#outgoing) this.#events?.onDraining?.();
  }

  onSilent(): void {
    // The opener sees for itself whether its own link answers.
    if (this.#outgoing) this.#events?.onSilent?.();
  }

  /** All has been passed on, except the acknowledgements of it. */
  #linger(): void {
    this.#events?.onEnd?.();
    this.#events = this.#other.#events = undefined;
  }

  #push(payload: Buffer): void {
    this.#sending.push(payload);
    this.#host.onQueued(payload.length);
    if (this.sendable) this.#host.wake(this);
  }

  #end(): void {
    this.#sending.end();
    if (this.sendable) this.#host.wake(this);
  }

  #abort(error: TunnelError): void {
    if (this.#done) return;
    const other = this.#other;
    this.#close();
    other.#close();
    other.#host.sendReset(other, channelCode(error), error.message);
    other.#host.forget(other);
    // What answers a Resume may speak of the way: its opener tries another.
    const elsewhere = this.#ends()[1].#awaits.resumed && mayWorkElsewhere(error);
    if (!elsewhere) this.#over(error);
    this.#events?.onEnd?.(error);
  }

  #finish(): void {
    const other = this.#other;
    for (const leg of [this, other]) {
      // One end waits for an acknowledgement that the other, of an older revision, never gives.
      if (leg.#host.resumes && !leg.#acknowledged) {
        const acked = leg.#other.#sending.endOffset;
        leg.#host.send(creditFrame(leg.number, acked, acked));
      }
    }
    this.#close();
    other.#close();
    this.#host.forget(this);
    other.#host.forget(other);
    this.#over();
    this.#events?.onEnd?.();
  }

  #close(): void {
    this.#done = true;
    this.#giveBack(0);
    this.#host.onQueued(-this.#sending.queuedBytes);
    this.#sending.clear();
  }
}

function channelCode(error: TunnelError): Parameters<LinkCore['sendReset']>[1] {
  switch (error.code) {
    case 'token-unknown':
    case 'token-revoked':
    case 'token-expired':
    case 'token-malformed':
    case 'unsupported-revision':
    case 'too-many-links':
    case 'unavailable':
    case 'link-lost':
    case 'link-silent':
      return 'agent-gone';
    default:
      return error.code;
  }
}
