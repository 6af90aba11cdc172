/** Relays tell every 100 ms, and those that are asked by the first come 100 ms later still. ms */
const HOLD_MS = 300;

export interface InOrderOptions<T> {
  readonly print: (item: T) => void;
  readonly holdMs?: number;
}

/**
 * Puts what several relays tell, each in its order, into one order of time: each thing is held
 * for a moment, as what happened before it may still come. Never longer, however wrong a clock is.
 */
export class InOrder<T extends { readonly at: string }> {
  readonly #print: (item: T) => void;
  readonly #holdMs: number;
  /** By time. */
  readonly #held: { readonly item: T; readonly due: number }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor({ print, holdMs = HOLD_MS }: InOrderOptions<T>) {
    this.#print = print;
    this.#holdMs = holdMs;
  }

  push(item: T): void {
    const before = this.#held.findLastIndex((each) => each.item.at <= item.at);
    this.#held.splice(before + 1, 0, { item, due: performance.now() + this.#holdMs });
    this.#timer ??= setTimeout(() => this.#printDue(), this.#holdMs);
  }

  /** Prints all, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { item } of this.#held.splice(0)) this.#print(item);
  }

  #printDue(): void {
    const now = performance.now();
    // What stands before something that is due goes with it.
    const last = this.#held.findLastIndex(({ due }) => due <= now);
    for (const { item } of this.#held.splice(0, last + 1)) this.#print(item);
    const next = Math.min(...this.#held.map(({ due }) => due));
    this.#timer =
      this.#held.length === 0
        ? undefined
        : setTimeout(() => this.#printDue(), Math.max(1, next - now));
  }
}
