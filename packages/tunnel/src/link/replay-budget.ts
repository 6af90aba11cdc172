import { INITIAL_WINDOW_BYTES, REPLAY_BUDGET_BYTES } from '../limits.ts';

/**
 * What all channels of the process keep to send again. Over its budget each
 * channel is left the smallest window, so that none can be stuck: sources are
 * read more slowly, nothing is dropped, nothing reset.
 */
class ReplayBudget {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Bytes that one channel may have sent beyond what was acknowledged. */
  get allowance(): number {
    return this.#bytes < REPLAY_BUDGET_BYTES ? Infinity : INITIAL_WINDOW_BYTES;
  }
}

export const replayBudget = new ReplayBudget();
