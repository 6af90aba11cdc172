import assert from 'node:assert/strict';
import type { TunnelError } from '../errors.ts';
import type { Channel, ChannelHandler } from '../types.ts';
import type { Random } from './random.ts';

/** Every byte of a stream follows from its position, so that one out of place is seen. */
function pattern(from: number, length: number, salt: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++)
    bytes[i] = ((from + i) * 31 + ((from + i) >>> 8) * 7 + salt) & 255;
  return bytes;
}

/** The user of one end, and the oracle of what it must hear. */
export class SimulatedEnd implements ChannelHandler {
  readonly name: string;
  readonly #random: Random;
  readonly #salt: number;
  readonly #total: number;
  readonly #peerTotal: () => number;
  channel: Channel | undefined;
  written = 0;
  received = 0;
  unconsumed = 0;
  ended = false;
  sentEnd = false;
  closed = false;
  error: TunnelError | undefined;

  constructor(name: string, random: Random, salt: number, total: number, peerTotal: () => number) {
    this.name = name;
    this.#random = random;
    this.#salt = salt;
    this.#total = total;
    this.#peerTotal = peerTotal;
  }

  onData(chunk: Buffer): void {
    assert.ok(!this.closed && !this.ended, `${this.name}: data after the end`);
    const expected = pattern(this.received, chunk.length, this.#salt ^ 1);
    assert.ok(chunk.equals(expected), `${this.name}: wrong bytes at ${this.received}`);
    this.received += chunk.length;
    this.unconsumed += chunk.length;
    assert.ok(this.received <= this.#peerTotal(), `${this.name}: more bytes than were written`);
  }

  onEnd(): void {
    assert.ok(!this.ended && !this.closed, `${this.name}: a second end`);
    assert.equal(this.received, this.#peerTotal(), `${this.name}: the end came too early`);
    this.ended = true;
  }

  onClose(error?: TunnelError): void {
    assert.ok(!this.closed, `${this.name}: closed twice`);
    this.closed = true;
    this.error = error;
    if (error === undefined)
      assert.ok(this.ended && this.sentEnd, `${this.name}: closed too early`);
  }

  get done(): boolean {
    return this.closed;
  }

  *steps(): Generator<() => void> {
    const { channel } = this;
    if (channel === undefined || this.closed) return;
    if (this.written < this.#total) {
      yield () => {
        const size = Math.min(
          this.#total - this.written,
          1 + this.#random.int(this.#random.chance(0.2) ? 70_000 : 300),
        );
        channel.write(pattern(this.written, size, this.#salt));
        this.written += size;
      };
    } else if (!this.sentEnd) {
      yield () => {
        this.sentEnd = true;
        channel.end();
      };
    }
    if (this.unconsumed > 0) {
      yield () => {
        const bytes = this.#random.chance(0.5)
          ? this.unconsumed
          : 1 + this.#random.int(this.unconsumed);
        this.unconsumed -= bytes;
        channel.consumed(bytes);
      };
    }
  }
}
