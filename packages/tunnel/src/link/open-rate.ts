/** How many channels a peer may open: a bucket that holds one second's worth. */
export class OpenRate {
  readonly #perSecond: number;
  #left: number;
  #at = 0;

  constructor(perSecond: number) {
    this.#perSecond = this.#left = perSecond;
  }

  take(now: number): boolean {
    if (this.#perSecond === Infinity) return true;
    this.#left = Math.min(
      this.#perSecond,
      this.#left + ((now - this.#at) / 1000) * this.#perSecond,
    );
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
