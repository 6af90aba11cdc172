/** Base-128 varints (protobuf.dev/programming-guides/encoding), for numbers up to 2^53 - 1. */

export function varintLength(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  let length = 4;
  for (let rest = value / 0x10000000; rest >= 1; rest /= 0x80) length++;
  return length;
}

/** Writes at `at`; returns the position behind. */
export function writeVarint(into: Uint8Array, at: number, value: number): number {
  while (value >= 0x80) {
    into[at++] = (value % 0x80) | 0x80;
    value = Math.floor(value / 0x80);
  }
  into[at++] = value;
  return at;
}

/**
 * Reads varints out of a buffer without making objects: `value` and `next`
 * hold the last result. `read` returns false when the buffer ends too early,
 * or when the number does not fit (`next` is then -1).
 */
export class VarintReader {
  value = 0;
  next = 0;

  read(from: Uint8Array, at: number, end: number): boolean {
    let value = 0;
    let scale = 1;
    for (let i = at; i < end; i++) {
      const byte = from[i]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.value = value;
        this.next = value <= Number.MAX_SAFE_INTEGER ? i + 1 : -1;
        return this.next !== -1;
      }
      scale *= 0x80;
      if (i - at >= 8) {
        this.next = -1;
        return false;
      }
    }
    this.next = at;
    return false;
  }
}
