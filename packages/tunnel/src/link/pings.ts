import { MAX_QUEUED_CONTROL_FRAMES } from '../limits.ts';
import type { Batch } from '../wire/encode.ts';
import { RttEstimator } from './rtt-estimator.ts';

/** Pings and Pongs of one link that wait to be sent, and the round trip that the answers tell of. */
export class Pings {
  readonly #rtt = new RttEstimator();
  readonly #pings: number[] = [];
  readonly #pongs: number[] = [];
  #token = 0;

  get waiting(): boolean {
    return this.#pongs.length > 0 || this.#pings.length > 0;
  }

  /** Smoothed, in ms; undefined before the first answer. */
  get rttMs(): number | undefined {
    return this.#rtt.smoothedMs;
  }

  /** True when the round trip was not measured of late. */
  due(now: number): boolean {
    return this.#rtt.due(now);
  }

  /** Of a Ping that the caller sends itself, or by `push`. */
  nextToken(): number {
    return ++this.#token;
  }

  push(token: number): void {
    this.#pings.push(token);
  }

  /** A Ping that measures the round trip. */
  measure(now: number): void {
    const token = ++this.#token;
    this.#rtt.onPing(token, now);
    this.#pings.push(token);
  }

  /** The peer pinged. False: too many of its Pings wait for their answer. */
  answer(token: number): boolean {
    if (this.#pongs.length >= MAX_QUEUED_CONTROL_FRAMES) return false;
    this.#pongs.push(token);
    return true;
  }

  onPong(token: number, now: number): void {
    this.#rtt.onPong(token, now);
  }

  emit(batch: Batch): void {
    if (this.#pongs.length > 0) {
      for (const token of this.#pongs) batch.pong(token);
      this.#pongs.length = 0;
    }
    if (this.#pings.length > 0) {
      for (const token of this.#pings) batch.ping(token);
      this.#pings.length = 0;
    }
  }
}
