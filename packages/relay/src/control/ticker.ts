/** Runs `task` every `everyMs`, never twice at once, until stopped. */
export class Ticker {
  readonly #everyMs: number;
  readonly #task: () => Promise<void>;
  readonly #onError: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(everyMs: number, task: () => Promise<void>, onError: (error: unknown) => void) {
    this.#everyMs = everyMs;
    this.#task = task;
    this.#onError = onError;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#tick(), this.#everyMs);
  }

  /** Resolves once a run that is under way has ended. Idempotent. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }

  #tick(): void {
    this.#running ??= this.#task()
      .catch(this.#onError)
      .finally(() => {
        this.#running = undefined;
      });
  }
}
