import { setTimeout as sleep } from 'node:timers/promises';

/** Something that runs until it ends by itself or is stopped. */
export interface Running {
  /** How it ended. */
  readonly ended: Promise<string | void>;
  stop(): Promise<void>;
}

export interface KeptOptions<T extends Running> {
  readonly start: () => Promise<T>;
  /** It ended by itself, or could not be started again: said to people. Starts again after `delayMs`. */
  readonly onEnded: (how: string, delayMs: number) => void;
  /** It runs, for the first time or again. */
  readonly onStarted: (running: T) => void;
  readonly signal: AbortSignal;
  /** Before the first try to start it again, ms; doubles up to 30 s while that fails. Default 1 s. */
  readonly restartMs?: number;
}

const RESTART_MS = 1_000;
const MAX_RESTART_MS = 30_000;

/** Keeps something running: as a service manager would, it starts again what ended by itself. */
export class Kept<T extends Running> {
  readonly #options: KeptOptions<T>;
  readonly #stopping = new AbortController();
  #running: T;
  #keeping: Promise<void>;

  private constructor(options: KeptOptions<T>, running: T) {
    this.#options = options;
    this.#running = running;
    options.onStarted(running);
    this.#keeping = this.#keep();
  }

  /** Rejects when the first start fails. */
  static async start<T extends Running>(options: KeptOptions<T>): Promise<Kept<T>> {
    return new Kept(options, await options.start());
  }

  /** The latest one. */
  get running(): T {
    return this.#running;
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running.stop();
    await this.#keeping;
    // It may have been just starting.
    await this.#running.stop();
  }

  async #keep(): Promise<void> {
    const signal = AbortSignal.any([this.#stopping.signal, this.#options.signal]);
    for (;;) {
      let how = (await this.#running.ended) ?? '';
      const first = this.#options.restartMs ?? RESTART_MS;
      for (let delayMs = first; ; delayMs = Math.min(2 * delayMs, MAX_RESTART_MS)) {
        if (signal.aborted) return;
        this.#options.onEnded(how, delayMs);
        await sleep(delayMs, undefined, { signal }).catch(() => {});
        if (signal.aborted) return;
        try {
          this.#running = await this.#options.start();
          this.#options.onStarted(this.#running);
          break;
        } catch (error) {
          how = (error as Error).message;
        }
      }
    }
  }
}
