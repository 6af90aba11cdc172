/** Whether a client takes what waits for it: looked at on the engine's tick, never per byte. */
import type { Duplex } from 'node:stream';

/** One for as long as bytes wait. */
export class SlowReader {
  #accepted = -1;
  #deadline = 0;

  /**
   * `accepted`: grows with what the client took. True: nothing was taken for `limitMs`
   * (ms, like `now`).
   */
  stopped(accepted: number, now: number, limitMs: number): boolean {
    if (accepted !== this.#accepted) {
      this.#accepted = accepted;
      this.#deadline = now + limitMs;
    }
    return now >= this.#deadline;
  }
}

interface Counted {
  readonly bytesWritten?: number;
  /** Node's own socket timeout looks at the same number: what the kernel has not taken yet. */
  readonly _handle?: { readonly writeQueueSize?: number } | null;
}

/**
 * Bytes of a socket that are out of this process, for comparison only. Whole writes,
 * less what is left of the one under way: a large one may take a slow client long.
 */
export function acceptedBytes(socket: Duplex): number {
  const { bytesWritten = 0, _handle } = socket as Counted;
  return bytesWritten - socket.writableLength - (_handle?.writeQueueSize ?? 0);
}
