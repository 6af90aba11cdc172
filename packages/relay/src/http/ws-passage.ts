/**
 * A WebSocket on its way through the gateway, which passes its bytes as they come. When the
 * gateway has to end it, it says so in the WebSocket's own words: a Close frame towards each
 * side, between two frames of the other.
 */
import { randomBytes } from 'node:crypto';
import { closeFrame, FrameTracker } from './ws-frames.ts';

/** RFC 6455 section 7.4.1. */
export const GOING_AWAY = 1001;
export const POLICY_VIOLATION = 1008;

export interface PassageEnds {
  toClient(frame: Buffer): void;
  toApp(frame: Buffer): void;
  /** The client has answered our Close frame, or can no longer be told: end the connection. */
  onDone(): void;
}

const PASSING = 0;
/** Our Close frames go out at the next boundary of each direction. */
const LEAVING = 1;

export class WebSocketPassage {
  readonly #ends: PassageEnds;
  readonly #down = new FrameTracker(false);
  readonly #up = new FrameTracker(true);
  #state = PASSING;
  #code = 0;
  #reason = '';
  #clientTold = false;
  #appTold = false;
  #done = false;

  constructor(ends: PassageEnds) {
    this.#ends = ends;
  }

  /** The client has been sent our Close frame: what remains is its answer. */
  get clientTold(): boolean {
    return this.#clientTold;
  }

  /** What of these bytes of the app's is for the client; undefined: nothing. */
  fromApp(chunk: Buffer): Buffer | undefined {
    const down = this.#down;
    if (this.#state === PASSING) {
      down.push(chunk);
      return chunk;
    }
    if (this.#clientTold) return undefined;
    const end = down.pushToBoundary(chunk);
    if (down.broken || down.closed) this.#finish();
    if (end === -1 || this.#done) return chunk;
    this.#clientTold = true;
    return Buffer.concat([chunk.subarray(0, end), closeFrame(this.#code, this.#reason)]);
  }

  /** What of these bytes of the client's is for the app; undefined: nothing. */
  fromClient(chunk: Buffer): Buffer | undefined {
    const up = this.#up;
    if (this.#state === PASSING) {
      up.push(chunk);
      return chunk;
    }
    if (this.#appTold) {
      up.push(chunk);
      if (up.closed || up.broken) this.#finish();
      return undefined;
    }
    const end = up.pushToBoundary(chunk);
    // Its own Close, or nothing that can be followed: the app gets it as it is.
    if (up.closed || up.broken) this.#finish();
    if (end === -1 || this.#done) return chunk;
    this.#appTold = true;
    up.push(chunk.subarray(end));
    const passed = Buffer.concat([chunk.subarray(0, end), this.#masked()]);
    if (up.closed || up.broken) this.#finish();
    return passed;
  }

  /**
   * Begins to end it, with a reason of at most 123 bytes. False: it cannot be told, since this is no
   * WebSocket that can be followed, or because it is closing already.
   */
  leave(code: number, reason: string): boolean {
    if (!this.#begin(code, reason)) return false;
    if (this.#down.atBoundary) this.#tellClient();
    if (this.#up.atBoundary) {
      this.#appTold = true;
      this.#ends.toApp(this.#masked());
    }
    return true;
  }

  /** Tells the client alone, now or (false) not at all: no further byte passes either way. */
  cut(code: number, reason: string): boolean {
    if (!this.#down.atBoundary || !this.#begin(code, reason)) return false;
    this.#appTold = true;
    this.#tellClient();
    return true;
  }

  #begin(code: number, reason: string): boolean {
    const [down, up] = [this.#down, this.#up];
    if (down.broken || up.broken || down.closed || up.closed) return false;
    if (this.#state !== PASSING) return false;
    this.#state = LEAVING;
    this.#code = code;
    this.#reason = reason;
    return true;
  }

  #tellClient(): void {
    this.#clientTold = true;
    this.#ends.toClient(closeFrame(this.#code, this.#reason));
  }

  #masked(): Buffer {
    return closeFrame(this.#code, this.#reason, randomBytes(4));
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    // Not from within: what is being passed on goes first.
    queueMicrotask(() => this.#ends.onDone());
  }
}
