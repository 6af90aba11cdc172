import { TunnelError } from '../errors.ts';
import type { ChannelErrorCode } from '../errors.ts';
import { INITIAL_WINDOW_BYTES, SWITCH_BUDGET_BYTES } from '../limits.ts';
import type { Channel, Link, OpenOptions } from '../types.ts';
import type { Batch } from '../wire/encode.ts';
import { targetToWire, trafficToWire } from '../wire/messages.ts';
import { ChannelEnd } from './channel.ts';
import type { Endpoint } from './endpoint.ts';
import { SendWindow } from './flow-control.ts';
import { LinkCore } from './link.ts';
import { SendQueue } from './send-queue.ts';
import { TrafficMeter } from './traffic-meter.ts';

/** Two legs of a channel that now belong to the switch. */
export interface Joined {
  readonly closed: boolean;
  /** Ends both legs at once, telling both peers why. Idempotent; `onEnd` is not called. */
  reset(code: ChannelErrorCode, reason: string): void;
}

/**
 * Joins a channel that came in on one link with a new one on another. Payloads
 * are passed on as they are; offsets and acknowledgements run end to end. The
 * two legs hold at most SWITCH_BUDGET_BYTES for each direction: the limit in
 * passing Credits is lowered to what has left plus that budget, never raised.
 *
 * `incoming` must not have a handler yet. What `instead` names goes onward in
 * place of what the opener said: it may say anything. What the opener said of the
 * workload never goes onward: only `instead.workload` does. `onEnd` is called once,
 * without an error when both directions ended in order. Throws what `Link.open`
 * throws; `incoming` is then as it was.
 */
export function joinChannel(
  incoming: Channel,
  to: Link,
  instead: Pick<Partial<OpenOptions>, 'target' | 'principal' | 'metadata' | 'workload'> = {},
  onEnd?: (error?: TunnelError) => void,
): Joined {
  if (!(incoming instanceof ChannelEnd) || !(to instanceof LinkCore)) {
    throw new TunnelError('internal', 'Only channels and links of this package can be joined.');
  }
  const from = incoming.link as LinkCore;
  const number = to.allocate();
  const near = new Leg(from, incoming.number, incoming.traffic);
  const far = new Leg(to, number, incoming.traffic);
  near.join(far, incoming.sendLimit, onEnd);
  far.join(near, INITIAL_WINDOW_BYTES, onEnd);
  const early = incoming.takeEarly();
  const finished = incoming.finReceived;
  from.replace(near);
  incoming.abandon();
  to.attach(far, {
    case: 'open',
    value: {
      channel: number,
      uid: Buffer.from(incoming.uid, 'hex'),
      target: targetToWire(instead.target ?? incoming.target),
      principal: instead.principal ?? incoming.principal,
      traffic: trafficToWire(incoming.traffic),
      initialWindow: BigInt(far.promise()),
      metadata: { ...(instead.metadata ?? incoming.metadata) },
      epoch: 1,
      workload: instead.workload ?? '',
    },
  });
  let offset = 0;
  for (const chunk of early) {
    near.onData(offset, chunk);
    offset += chunk.length;
  }
  if (finished) near.onFin(offset);
  return near;
}

/** One side of a switched channel. `send` is what goes out on its own link, arrived on the other's. */
class Leg implements Endpoint, Joined {
  readonly number: number;
  readonly #host: LinkCore;
  readonly #queue = new SendQueue();
  readonly #meter: TrafficMeter;
  #other!: Leg;
  #send!: SendWindow;
  #received = 0;
  #finReceived = false;
  /** The limit this leg's peer was told. */
  #promised = INITIAL_WINDOW_BYTES;
  #done = false;
  #onEnd: ((error?: TunnelError) => void) | undefined;

  constructor(host: LinkCore, number: number, traffic: ChannelEnd['traffic']) {
    this.#host = host;
    this.number = number;
    this.#meter = new TrafficMeter(traffic);
  }

  join(other: Leg, sendLimit: number, onEnd: ((error?: TunnelError) => void) | undefined): void {
    this.#other = other;
    this.#send = new SendWindow(sendLimit);
    this.#onEnd = onEnd;
  }

  get closed(): boolean {
    return this.#done;
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
  }

  /** The limit to tell this leg's peer now: what the far end allows, within the budget. */
  promise(): number {
    const onward = this.#other.#send;
    const limit = Math.min(onward.limit, onward.sent + SWITCH_BUDGET_BYTES);
    this.#promised = Math.max(this.#promised, limit);
    return this.#promised;
  }

  get sendable(): boolean {
    return !this.#done && this.#queue.sendable(this.#send.room);
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
    this.#meter.sent(sent, now);
    const sendable = Math.min(this.#send.limit, this.#send.sent + SWITCH_BUDGET_BYTES);
    if (sendable - this.#other.#promised >= SWITCH_BUDGET_BYTES / 4) this.#other.creditSoon();
    return sent;
  }

  afterEmit(): void {
    if (!this.#done && this.#queue.finSent && this.#other.#queue.finSent) this.#finish();
  }

  creditSoon(): void {
    if (!this.#done) this.#host.sendCreditNow(this);
  }

  emitCredit(batch: Batch): void {
    if (!this.#done) batch.credit(this.number, this.#other.#send.acked, this.promise());
  }

  onOpened(initialWindow: number): void {
    this.#send.update(0, initialWindow);
    this.#other.#host.sendOpened(this.#other, this.#other.promise());
    if (this.sendable) this.#host.wake(this);
  }

  onData(offset: number, payload: Buffer): void {
    if (
      this.#finReceived ||
      offset !== this.#received ||
      offset + payload.length > this.#promised
    ) {
      throw new TunnelError(
        'protocol-error',
        'The peer sent data out of place or beyond its credit.',
      );
    }
    this.#received += payload.length;
    this.#other.#push(payload);
  }

  onFin(offset: number): void {
    if (this.#finReceived || offset !== this.#received) {
      throw new TunnelError('protocol-error', 'The peer sent a Fin out of place.');
    }
    this.#finReceived = true;
    this.#other.#end();
  }

  onCredit(acked: number, limit: number): void {
    if (!this.#send.update(acked, limit)) {
      throw new TunnelError('protocol-error', 'The peer acknowledged what was never sent.');
    }
    if (this.sendable) this.#host.wake(this);
    this.#other.creditSoon();
  }

  onReset(error: TunnelError): void {
    this.#abort(error);
    this.#host.forget(this);
  }

  onLinkLost(error: TunnelError): void {
    this.#abort(
      new TunnelError('agent-gone', `A link on the way was lost: ${error.message}`, {
        cause: error,
      }),
    );
  }

  #push(payload: Buffer): void {
    this.#queue.push(payload);
    this.#host.onQueued(payload.length);
    if (this.sendable) this.#host.wake(this);
  }

  #end(): void {
    this.#queue.end();
    if (this.sendable) this.#host.wake(this);
  }

  #abort(error: TunnelError): void {
    if (this.#done) return;
    const other = this.#other;
    this.#close();
    other.#close();
    other.#host.sendReset(other, channelCode(error), error.message);
    other.#host.forget(other);
    this.#onEnd?.(error);
  }

  #finish(): void {
    const other = this.#other;
    this.#close();
    other.#close();
    this.#host.forget(this);
    other.#host.forget(other);
    this.#onEnd?.();
  }

  #close(): void {
    this.#done = true;
    this.#host.onQueued(-this.#queue.bytes);
    this.#queue.clear();
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
