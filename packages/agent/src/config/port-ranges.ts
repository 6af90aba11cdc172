/** Allowed TCP ports: `3000,8000-8999`. Answers one question, in constant memory. */
export class PortRanges {
  readonly #ranges: readonly (readonly [number, number])[];

  private constructor(ranges: readonly (readonly [number, number])[]) {
    this.#ranges = ranges;
  }

  /** Throws RangeError with a sentence that names the wrong part. At most 256 parts; `none` allows nothing. */
  static parse(text: string): PortRanges {
    const trimmed = text.trim();
    if (trimmed === 'none') return new PortRanges([]);
    const parts = trimmed.split(',');
    if (parts.length > 256) throw new RangeError('more than 256 ports or ranges');
    return new PortRanges(parts.map((part) => parseRange(part.trim())));
  }

  has(port: number): boolean {
    for (const [low, high] of this.#ranges) if (port >= low && port <= high) return true;
    return false;
  }

  toString(): string {
    if (this.#ranges.length === 0) return 'none';
    return this.#ranges
      .map(([low, high]) => (low === high ? `${low}` : `${low}-${high}`))
      .join(',');
  }
}

function parseRange(part: string): readonly [number, number] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
  if (!match) throw new RangeError(`"${part}" is neither a port nor a range such as 8000-8999`);
  const low = Number(match[1]);
  const high = match[2] === undefined ? low : Number(match[2]);
  if (low < 1 || high > 65535) throw new RangeError(`"${part}" leaves the range 1-65535`);
  if (low > high) throw new RangeError(`"${part}" ends before it begins`);
  return [low, high];
}
