import { TunnelError } from '../errors.ts';
import type { Frame, Open, Resume } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import type { LinkTap } from '../trace/link-tap.ts';
import { FrameDecoder, safeNumber } from '../wire/decode.ts';
import type { FrameSink } from '../wire/decode.ts';
import { errorFromReset } from '../wire/messages.ts';
import type { ChannelNumbers } from './channel-numbers.ts';
import type { Outbox } from './outbox.ts';
import type { Silence } from './silence.ts';

/** What is not for an endpoint that is there. */
interface Owner {
  onOpen(open: Open): void;
  onResume(resume: Resume): void;
  onDrain(deadlineMs: number, reason: string): void;
  /** The peer broke a rule, or this side has a fault. */
  close(error: TunnelError): void;
}

/** Takes what arrives on a link to whom it is for. */
export class Inbox implements FrameSink {
  readonly #owner: Owner;
  readonly #numbers: ChannelNumbers;
  readonly #silence: Silence;
  readonly #outbox: Outbox;
  readonly #decoder: FrameDecoder;
  #state: 'greeting' | 'open' | 'stopped' = 'greeting';
  /** Of the greeting: gets the next frame. */
  #onReply: ((kind: Frame['kind']) => void) | undefined;
  #tap: LinkTap | undefined;
  #bytesIn = 0;

  constructor(owner: Owner, numbers: ChannelNumbers, silence: Silence, outbox: Outbox) {
    this.#owner = owner;
    this.#numbers = numbers;
    this.#silence = silence;
    this.#outbox = outbox;
    this.#decoder = new FrameDecoder(this);
  }

  /** Payload so far. */
  get bytesIn(): number {
    return this.#bytesIn;
  }

  get tap(): LinkTap | undefined {
    return this.#tap;
  }

  set tap(tap: LinkTap | undefined) {
    this.#tap = this.#decoder.tap = tap;
  }

  /** Gives the next frame to `onReply`, before anything else is allowed. */
  greet(onReply: (kind: Frame['kind']) => void): void {
    this.#onReply = onReply;
  }

  /** The greeting is over. */
  open(): void {
    this.#state = 'open';
    this.#onReply = undefined;
  }

  /** What still comes is ignored. Idempotent. */
  stop(): void {
    this.#state = 'stopped';
    this.#onReply = undefined;
  }

  onBytes(chunk: Buffer): void {
    if (this.#state === 'stopped') return;
    this.#silence.heard(performance.now());
    try {
      this.#decoder.push(chunk);
    } catch (cause) {
      const error =
        cause instanceof TunnelError
          ? cause
          : new TunnelError('internal', 'The link failed by a fault of its own.', { cause });
      this.#owner.close(error);
    }
  }

  // ---- FrameSink -----------------------------------------------------------------

  onData(number: number, offset: number, payload: Buffer): void {
    if (this.#state !== 'open') return this.#untimely();
    this.#bytesIn += payload.length;
    this.#numbers.find(number)?.onData(offset, payload);
  }

  onCredit(number: number, acked: number, limit: number): void {
    if (this.#state !== 'open') return this.#untimely();
    if (this.#tap !== undefined) this.#tap.receivedCredit(number, acked, limit);
    this.#numbers.find(number)?.onCredit(acked, limit, this.#silence.heardAt);
  }

  onPing(token: number): void {
    if (this.#state !== 'open') return this.#untimely();
    this.#outbox.pong(token);
  }

  onPong(token: number): void {
    if (this.#state !== 'open') return this.#untimely();
    this.#outbox.onPong(token);
  }

  onFrame(kind: Frame['kind']): void {
    if (this.#state === 'open') this.#dispatch(kind);
    else if (this.#onReply !== undefined) this.#onReply(kind);
    else this.#untimely();
  }

  #untimely(): void {
    if (this.#state === 'stopped') return;
    throw new TunnelError('protocol-error', 'The peer sent data before its greeting.');
  }

  #dispatch(kind: Frame['kind']): void {
    if (this.#tap !== undefined) this.#tap.received(kind);
    const numbers = this.#numbers;
    switch (kind.case) {
      case 'open':
        return this.#owner.onOpen(kind.value);
      case 'opened':
        return numbers.find(kind.value.channel)?.onOpened(safeNumber(kind.value.initialWindow));
      case 'fin':
        return numbers.find(kind.value.channel)?.onFin(safeNumber(kind.value.offset));
      case 'reset':
        return numbers.find(kind.value.channel)?.onReset(errorFromReset(kind.value));
      case 'resume':
        return this.#owner.onResume(kind.value);
      case 'resumed':
        return numbers.find(kind.value.channel)?.onResumed({
          received: safeNumber(kind.value.received),
          limit: safeNumber(kind.value.limit),
          ended: kind.value.ended,
        });
      case 'detached':
        return numbers.find(kind.value.channel)?.onDetached(
          new TunnelError('agent-gone', `A link on the way was lost: ${kind.value.reason}`, {
            remote: true,
          }),
        );
      case 'drain':
        return this.#owner.onDrain(kind.value.deadlineMs, kind.value.reason);
      case 'hello':
      case 'welcome':
        throw new TunnelError('protocol-error', 'The peer greeted twice.');
      default:
        // Kinds of later revisions.
        return;
    }
  }
}
