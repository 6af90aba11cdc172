import { SWITCH_POOL_BYTES } from '../limits.ts';

/**
 * What all switched channels of the process may be promised beyond their guarantee.
 * A promise cannot be taken back: so it is counted when it is given, not when the
 * bytes arrive. When everything is given out, channels go on with the guarantee alone.
 */
export class SwitchPool {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  get left(): number {
    return this.#left;
  }

  /** Takes as much as there is, at most `bytes`. */
  take(bytes: number): number {
    const taken = Math.min(bytes, this.#left);
    this.#left -= taken;
    return taken;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

export const switchPool = new SwitchPool(SWITCH_POOL_BYTES);
