import {
  PING_AFTER_MS,
  PONG_WITHIN_MS,
  PROBE_AFTER_MS,
  SILENT_AFTER_MS,
  SILENT_ROUND_TRIPS,
} from '../limits.ts';

/**
 * How long a link's peer has not been heard, and what that means. Two questions,
 * each of which any byte of the peer's answers: is it there at all (asked after a
 * long silence; no answer ends the link), and does it answer what was said
 * (asked soon; no answer makes others prefer another link). Times in ms of `performance.now()`.
 */
export class Silence {
  #heardAt = performance.now();
  #pingAfterMs = PING_AFTER_MS;
  #pongWithinMs = PONG_WITHIN_MS;
  /** It was asked whether it is there; 0: it was not. */
  #pingedAt = 0;
  /**
   * What became of what was said since it was last heard. Pings and Pongs say nothing.
   * `said`: an answer is due. `asked`: it was asked for one. `silent`: and none came.
   */
  #doubt: 'none' | 'said' | 'asked' | 'silent' = 'none';
  /** Since when, of `said` and `asked`. */
  #since = 0;

  get heardAt(): number {
    return this.#heardAt;
  }

  get silent(): boolean {
    return this.#doubt === 'silent';
  }

  /** Since the peer was last heard. */
  get nothingSaid(): boolean {
    return this.#doubt === 'none';
  }

  /** What the greeting agreed on. 0: the defaults. */
  setTimes(pingAfterMs: number, pongWithinMs: number): void {
    this.#pingAfterMs = pingAfterMs || PING_AFTER_MS;
    this.#pongWithinMs = pongWithinMs || PONG_WITHIN_MS;
  }

  heard(now: number): void {
    this.#heardAt = now;
    this.#pingedAt = 0;
    this.#doubt = 'none';
  }

  said(now: number): void {
    if (this.#doubt !== 'none') return;
    this.#doubt = 'said';
    this.#since = now;
  }

  /** It was asked whether it is there, and time is up. */
  isDead(now: number): boolean {
    return this.#pingedAt !== 0 && now - this.#pingedAt >= this.#pongWithinMs;
  }

  /** To be called every half second. True: it is to be asked now, with a Ping. */
  asks(now: number, rttMs: number): boolean {
    let asks = false;
    if (this.#pingedAt === 0 && now - this.#heardAt >= this.#pingAfterMs) {
      this.#pingedAt = now;
      asks = true;
    }
    if (this.#doubt === 'said' && now - this.#since >= PROBE_AFTER_MS) {
      this.#doubt = 'asked';
      this.#since = now;
      return true;
    }
    const patience = Math.max(SILENT_AFTER_MS, SILENT_ROUND_TRIPS * rttMs);
    if (this.#doubt === 'asked' && now - this.#since >= patience) this.#doubt = 'silent';
    return asks;
  }
}
