/** Counts open connections, in all and per address. */
export interface ConnectionCap {
  /** False: over a cap; the caller closes the connection and does not call `leave`. */
  enter(address: string): boolean;
  leave(address: string): void;
  readonly size: number;
}

export function connectionCap(options: {
  readonly total: number;
  readonly perAddress: number;
  /** Addresses that stand for many people (balancers, this machine). */
  readonly exempt: (address: string) => boolean;
}): ConnectionCap {
  const counts = new Map<string, number>();
  let size = 0;
  return {
    enter(address) {
      if (size >= options.total) return false;
      const count = counts.get(address) ?? 0;
      if (count >= options.perAddress && !options.exempt(address)) return false;
      counts.set(address, count + 1);
      size += 1;
      return true;
    },
    leave(address) {
      const count = counts.get(address) ?? 0;
      if (count <= 1) counts.delete(address);
      else counts.set(address, count - 1);
      size -= 1;
    },
    get size() {
      return size;
    },
  };
}
