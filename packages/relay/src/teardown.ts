import { within } from './within.ts';

/** Longest that one part may take to stop. ms */
const STEP_WITHIN_MS = 15_000;

interface Step {
  readonly what: string;
  readonly stop: () => void | Promise<void>;
}

/** What was built, stopped in the opposite order. A step that fails or hangs is told and does not keep the others from stopping. */
export class Teardown {
  readonly #steps: Step[] = [];
  readonly #failed: (what: string, error: unknown) => void;
  #running: Promise<void> | undefined;

  constructor(failed: (what: string, error: unknown) => void) {
    this.#failed = failed;
  }

  add(what: string, stop: Step['stop']): void {
    this.#steps.push({ what, stop });
  }

  /** Idempotent: later calls wait for the first. */
  run(): Promise<void> {
    return (this.#running ??= this.#run());
  }

  async #run(): Promise<void> {
    for (const { what, stop } of this.#steps.toReversed()) {
      try {
        await within(
          STEP_WITHIN_MS,
          stop(),
          () => new Error(`did not stop within ${STEP_WITHIN_MS / 1000} s`),
        );
      } catch (error) {
        this.#failed(what, error);
      }
    }
  }
}
