import { MAX_QUEUED_CONTROL_FRAMES } from '../limits.ts';
import type { LinkTap } from '../trace/link-tap.ts';
import type { Transport } from '../transport.ts';
import { Batch } from '../wire/encode.ts';
import type { FrameKind } from '../wire/encode.ts';
import type { Endpoint } from './endpoint.ts';
import { OwedCredits } from './owed-credits.ts';
import { Pings } from './pings.ts';
import type { Silence } from './silence.ts';
import { Turns } from './turns.ts';

/** One for the process: a batch is filled and taken within one call. */
const batch = new Batch();

/**
 * All that waits to leave over a link. It leaves at the end of the running
 * callback; while that write is under way the rest gathers, and leaves in the
 * next one. So a lone keystroke does not wait, and a busy link writes once per
 * turn of the event loop.
 */
export class Outbox {
  /** Only while a channel is traced that this link carries or carried. */
  tap: LinkTap | undefined;
  readonly #transport: Transport;
  readonly #silence: Silence;
  /** The peer asks for more answers than it reads. */
  readonly #onFlood: () => void;
  readonly #pings = new Pings();
  readonly #turns = new Turns(this.#pings);
  #control: FrameKind[] = [];
  /** Made when first needed: most links idle. */
  #credits: OwedCredits | undefined;
  #state: 'idle' | 'scheduled' | 'sending' | 'stopped' = 'idle';

  constructor(transport: Transport, silence: Silence, onFlood: () => void) {
    this.#transport = transport;
    this.#silence = silence;
    this.#onFlood = onFlood;
  }

  get rttMs(): number | undefined {
    return this.#pings.rttMs;
  }

  get bytesOut(): number {
    return this.#turns.bytesOut;
  }

  /** Whether bulk waits, or went out during the last second. */
  get bulk(): boolean {
    return this.#turns.bulk;
  }

  // ---- what is to leave ------------------------------------------------------

  queue(frame: FrameKind): void {
    if (this.#stopped) return;
    if (this.#control.length >= MAX_QUEUED_CONTROL_FRAMES) return this.#onFlood();
    this.#control.push(frame);
    if (this.tap !== undefined) this.tap.queued(frame);
    this.#schedule();
  }

  /** The endpoint has data to send. */
  wake(endpoint: Endpoint): void {
    if (this.#stopped) return;
    this.#turns.add(endpoint, performance.now());
    this.#schedule();
  }

  creditNow(endpoint: Endpoint): void {
    if (this.#stopped) return;
    this.#owed.now(endpoint);
    const now = this.#silence.heardAt;
    // Who receives needs the round trip, to know how far its windows should grow.
    if (this.#pings.due(now)) this.#pings.measure(now);
    this.#schedule();
  }

  creditLater(endpoint: Endpoint): void {
    if (!this.#stopped) this.#owed.later(endpoint);
  }

  get #owed(): OwedCredits {
    return (this.#credits ??= new OwedCredits(() => this.#schedule()));
  }

  ping(now: number): void {
    this.#pings.measure(now);
    this.#schedule();
  }

  pong(token: number): void {
    if (this.#pings.answer(token)) this.#schedule();
    else this.#onFlood();
  }

  onPong(token: number): void {
    const now = performance.now();
    this.#pings.onPong(token, now);
    if (this.#turns.onPong(token, now)) this.#schedule();
  }

  /** Nothing of the endpoint's leaves any more, except frames that were queued. */
  forget(endpoint: Endpoint): void {
    this.#turns.remove(endpoint);
    this.#credits?.forget(endpoint);
  }

  /** Nothing leaves any more. Idempotent. */
  stop(): void {
    this.#state = 'stopped';
    this.#control = [];
    this.#credits?.stop();
  }

  get #stopped(): boolean {
    return this.#state === 'stopped';
  }

  // ---- leaving -----------------------------------------------------------------

  #schedule(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'scheduled';
    process.nextTick(this.#onTick);
  }

  readonly #onTick = (): void => {
    // What was scheduled while a batch was filled may have to wait for its end.
    if (this.#state === 'scheduled') this.#flush();
  };

  /** The transport is done with what it was given. */
  onSent(): void {
    if (this.#stopped) return;
    this.#state = 'idle';
    // At once: this is already the turn after the one that filled the batch.
    if (this.#pings.waiting || this.#hasToSay) this.#flush();
  }

  #flush(): void {
    this.#state = 'idle';
    const now = performance.now();
    batch.tap = this.tap;
    if (this.#silence.nothingSaid && this.#hasToSay) this.#silence.said(now);
    this.#encodeControl();
    this.#pings.emit(batch);
    this.#credits?.emit(batch);
    const emitted = this.#turns.emit(batch, now);
    const bytes = batch.bytes;
    if (bytes > 0) {
      if (!this.#stopped) this.#state = 'sending';
      this.#transport.send(batch.take(), bytes);
    }
    if (emitted !== undefined) for (const endpoint of emitted) endpoint.afterEmit();
  }

  /** More than Pings and Pongs. */
  get #hasToSay(): boolean {
    return this.#control.length > 0 || this.#credits?.due === true || this.#turns.waiting;
  }

  #encodeControl(): void {
    if (this.#control.length === 0) return;
    const frames = this.#control;
    this.#control = [];
    for (const frame of frames) batch.control(frame);
  }
}
