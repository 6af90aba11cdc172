/**
 * Where frames of a WebSocket begin and end in a stream of bytes (RFC 6455 section 5.2). Only the
 * headers are looked at; payloads are skipped, whatever they hold.
 */

const FIRST = 0;
const SECOND = 1;
const LENGTH = 2;
/** Payload, and the masking key before it. */
const SKIP = 3;
const BROKEN = 4;

const CLOSE = 0x8;
/** Text, binary, and the continuation of either; close, ping, pong. All else is reserved. */
const KNOWN = 0b0000_0111_0000_0111;
/** Multiplying by it shifts a length by one byte; numbers stay exact below 2^53. */
const BYTE = 256;

export class FrameTracker {
  readonly #mask: number;
  #state = FIRST;
  #opcode = 0;
  #fin = false;
  /** A message has begun and not ended. */
  #fragmented = false;
  #length = 0;
  /** Bytes of the length still to come, or of payload and key. */
  #left = 0;
  #shortest = 0;
  #closed = false;

  /** `masked`: from client to server all frames are, the other way none (section 5.1). */
  constructor(masked: boolean) {
    this.#mask = masked ? 0x80 : 0;
  }

  /** What came was no WebSocket: nothing is known of it any more. */
  get broken(): boolean {
    return this.#state === BROKEN;
  }

  /** All that came are whole frames: a control frame may be put here. */
  get atBoundary(): boolean {
    return this.#state === FIRST;
  }

  /** A Close frame has begun: nothing may follow it. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Follows all of it. */
  push(chunk: Uint8Array): void {
    this.#follow(chunk, 0, false);
  }

  /** As `push`, up to the end of the first frame that ends in it; returns that offset, or -1: none does. */
  pushToBoundary(chunk: Uint8Array): number {
    return this.#follow(chunk, 0, true);
  }

  #follow(chunk: Uint8Array, from: number, stop: boolean): number {
    const end = chunk.length;
    let at = from;
    while (at < end) {
      switch (this.#state) {
        case FIRST:
          this.#first(chunk[at++] as number);
          break;
        case SECOND:
          this.#second(chunk[at++] as number);
          break;
        case LENGTH:
          this.#more(chunk[at++] as number);
          break;
        case SKIP: {
          const taken = Math.min(this.#left, end - at);
          at += taken;
          this.#left -= taken;
          if (this.#left === 0) this.#state = FIRST;
          break;
        }
        default:
          return -1;
      }
      if (stop && this.#state === FIRST) return at;
    }
    return -1;
  }

  #first(byte: number): void {
    const opcode = byte & 0x0f;
    this.#opcode = opcode;
    this.#fin = byte >= 0x80;
    this.#state = SECOND;
    // The first reserved bit is of permessage-deflate (RFC 7692); nothing else is in use.
    if ((byte & 0x30) !== 0 || ((KNOWN >> opcode) & 1) === 0 || this.#closed) return this.#break();
    if (opcode >= CLOSE) {
      if (byte < 0x80 || (byte & 0x40) !== 0) return this.#break();
      this.#closed = opcode === CLOSE;
      return;
    }
    if ((opcode === 0) !== this.#fragmented) return this.#break();
    this.#fragmented = !this.#fin;
  }

  #second(byte: number): void {
    if ((byte & 0x80) !== this.#mask) return this.#break();
    const length = byte & 0x7f;
    if (length < 126) return this.#skip(length);
    if (this.#opcode >= CLOSE) return this.#break();
    this.#state = LENGTH;
    this.#length = 0;
    this.#left = length === 126 ? 2 : 8;
    this.#shortest = length === 126 ? 126 : 65_536;
  }

  #more(byte: number): void {
    this.#length = this.#length * BYTE + byte;
    this.#left -= 1;
    if (this.#left > 0) return;
    // The shortest form is required; nobody sends frames of petabytes.
    if (this.#length < this.#shortest || this.#length > Number.MAX_SAFE_INTEGER) {
      return this.#break();
    }
    this.#skip(this.#length);
  }

  #skip(length: number): void {
    this.#left = length + (this.#mask === 0 ? 0 : 4);
    this.#state = this.#left === 0 ? FIRST : SKIP;
  }

  #break(): void {
    this.#state = BROKEN;
  }
}

/** Of a Close frame's reason, in bytes (section 5.5). */
const MAX_REASON = 123;

/** `reason` at most 123 bytes of UTF-8. `key`: masked with it, as from a client. */
export function closeFrame(code: number, reason: string, key?: Uint8Array): Buffer {
  const text = Buffer.from(reason);
  if (text.length > MAX_REASON) throw new RangeError('The reason of a Close frame is too long.');
  const payload = Buffer.alloc(2 + text.length);
  payload.writeUInt16BE(code);
  payload.set(text, 2);
  const head = Buffer.from([0x80 | CLOSE, payload.length | (key === undefined ? 0 : 0x80)]);
  if (key === undefined) return Buffer.concat([head, payload]);
  for (let i = 0; i < payload.length; i++) payload[i]! ^= key[i & 3]!;
  return Buffer.concat([head, key, payload]);
}
