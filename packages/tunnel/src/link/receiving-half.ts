import type { Batch, FrameKind } from '../wire/encode.ts';
import type { Position } from './endpoint.ts';
import { ReceiveWindow } from './flow-control.ts';
import { misplaced } from './misplaced.ts';
import { creditFrame } from './position-frames.ts';

/** What one end of a channel receives: how far it has come, what the other side may send, and what came too early. */
export class ReceivingHalf {
  readonly #window = new ReceiveWindow();
  /** What came while nobody was there to take it. */
  #early: Buffer[] | undefined;
  #ended = false;

  /** Fin has come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Everything below has arrived. */
  get received(): number {
    return this.#window.received;
  }

  /** Payload that has arrived. */
  get receivedBytes(): number {
    return this.#window.received - (this.#ended ? 1 : 0);
  }

  get limit(): number {
    return this.#window.limit;
  }

  /** Throws TunnelError `protocol-error` when the bytes are out of place or over the limit. */
  accept(offset: number, bytes: number): void {
    if (this.#ended || !this.#window.accept(offset, bytes)) {
      throw misplaced('data out of place or beyond its credit');
    }
  }

  /** Throws as `accept` does. */
  acceptFin(offset: number): void {
    if (this.#ended || !this.#window.acceptFin(offset)) throw misplaced('a Fin out of place');
    this.#ended = true;
  }

  // ---- while there is no handler ---------------------------------------------

  keep(payload: Buffer): void {
    (this.#early ??= []).push(payload);
  }

  /** What came early is told in its turn, and so is the end. */
  keepEnd(): void {
    this.#early ??= [];
  }

  /** Undefined: nothing came early, not even the end. */
  takeEarly(): Buffer[] | undefined {
    const early = this.#early;
    this.#early = undefined;
    return early;
  }

  // ---- credit ------------------------------------------------------------------

  /** Bytes were handed on. True: a Credit is due now; false: it can wait. */
  consume(bytes: number, now: number, rttMs: number): boolean {
    return this.#window.consume(bytes, now, rttMs);
  }

  get owesCredit(): boolean {
    return this.#window.owesCredit;
  }

  emitCredit(batch: Batch, channel: number): void {
    const window = this.#window;
    if (!window.owesCredit) return;
    window.credited();
    batch.credit(channel, window.consumed, window.limit);
  }

  /** The last Credit, for all there is; nobody will take what came early. */
  lastCredit(channel: number): FrameKind {
    this.#early = undefined;
    this.#window.consumeAll();
    this.#window.credited();
    return creditFrame(channel, this.#window.consumed, this.#window.limit);
  }

  /** For Resume and Resumed, which say what a Credit would. */
  tellPosition(): Position {
    this.#window.credited();
    return { received: this.#window.received, limit: this.#window.limit, ended: this.#ended };
  }

  release(): void {
    this.#early = undefined;
    this.#window.release();
  }
}
