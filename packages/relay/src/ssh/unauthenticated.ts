import { addressGroup } from '../auth/attempts.ts';

/** Connections that have not signed in: few enough that a flood of them costs others nothing. */
export class UnauthenticatedConnections {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #byAddress = new Map<string, number>();
  count = 0;

  constructor(max: number, maxPerAddress: number) {
    this.#max = max;
    this.#maxPerAddress = maxPerAddress;
  }

  /** Undefined: too many. Otherwise call what it returns once they are known or gone; more often does nothing. */
  admit(address: string): (() => void) | undefined {
    const group = addressGroup(address);
    const there = this.#byAddress.get(group) ?? 0;
    if (this.count >= this.#max || there >= this.#maxPerAddress) return undefined;
    this.count += 1;
    this.#byAddress.set(group, there + 1);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.count -= 1;
      const left = (this.#byAddress.get(group) ?? 1) - 1;
      if (left === 0) this.#byAddress.delete(group);
      else this.#byAddress.set(group, left);
    };
  }
}
