import { fromBinary } from '@bufbuild/protobuf';

import { TunnelError } from '../errors.ts';
import { FrameSchema } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import type { Frame } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import { MAX_CONTROL_FRAME_BYTES, MAX_DATA_BYTES, MAX_FRAME_BYTES } from '../limits.ts';
import { VarintReader } from './varint.ts';

export interface FrameSink {
  /** A run of a channel's bytes: a whole Data frame, or a part of one. A view, not a copy. */
  onData(channel: number, offset: number, payload: Buffer): void;
  onCredit(channel: number, acked: number, limit: number): void;
  onPing(token: number): void;
  onPong(token: number): void;
  /** Any other frame. */
  onFrame(kind: Frame['kind']): void;
}

/** Hears of each Data frame once its header is there. */
export interface DecoderTap {
  receivedData(channel: number, offset: number, length: number): void;
}

const PREFIX_BYTES = 5;
const TAG_FRAME_DATA = (1 << 3) | 2;
const TAG_FRAME_CREDIT = (2 << 3) | 2;
const TAG_FRAME_PING = (12 << 3) | 2;
const TAG_FRAME_PONG = (13 << 3) | 2;
const TAG_CHANNEL = (1 << 3) | 0;
const TAG_OFFSET = (2 << 3) | 0;
const TAG_PAYLOAD = (3 << 3) | 2;
/** Longest Data header behind the prefix: three tags, lengths, a channel, an offset. */
const MAX_DATA_HEADER_BYTES = 32;

/**
 * Cuts a byte stream into frames. Data is handed on as it arrives, without
 * waiting for the end of its frame and without a copy; other frames are
 * collected (within MAX_CONTROL_FRAME_BYTES) and decoded by the protobuf runtime.
 * Throws TunnelError `protocol-error` on anything else; the decoder is then
 * of no further use.
 */
export class FrameDecoder {
  /** Undefined, as nearly always: nobody listens. */
  tap: DecoderTap | undefined;
  readonly #sink: FrameSink;
  readonly #varint = new VarintReader();
  /** Bytes of a frame whose beginning came in an earlier chunk. */
  #carry: Buffer | undefined;
  #carried = 0;
  /** How much of the frame is wanted in #carry before it can be looked at again. */
  #wanted = 0;
  #collecting = false;
  /** The Data frame in progress: what is still to come of it. */
  #dataLeft = 0;
  #dataChannel = 0;
  #dataOffset = 0;
  /** Field values of a small frame, by field number. */
  readonly #fields = [0, 0, 0, 0];

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    let at = 0;
    const end = chunk.length;
    while (at < end) {
      if (this.#dataLeft > 0) {
        at = this.#payload(chunk, at, end);
      } else if (this.#carry !== undefined) {
        at = this.#refill(chunk, at, end);
      } else {
        const next = this.#frame(chunk, at, end);
        if (next < 0) {
          this.#keep(chunk, at, end);
          return;
        }
        at = next;
      }
    }
  }

  /** True between frames: the stream may end here. */
  get idle(): boolean {
    return this.#dataLeft === 0 && this.#carry === undefined;
  }

  #payload(chunk: Buffer, at: number, end: number): number {
    const stop = Math.min(end, at + this.#dataLeft);
    const part = at === 0 && stop === end ? chunk : chunk.subarray(at, stop);
    const offset = this.#dataOffset;
    this.#dataLeft -= part.length;
    this.#dataOffset += part.length;
    this.#sink.onData(this.#dataChannel, offset, part);
    return stop;
  }

  /** Handles the frame that begins at `at`. Returns the position behind what was used, or -1: more is needed (#wanted bytes in all). */
  #frame(from: Buffer, at: number, end: number): number {
    this.#collecting = false;
    if (end - at < PREFIX_BYTES) {
      this.#wanted = PREFIX_BYTES;
      return -1;
    }
    if (from[at] !== 0) throw malformed('a compressed or damaged message prefix');
    const length = from.readUInt32BE(at + 1);
    if (length > MAX_FRAME_BYTES)
      throw malformed(`a frame of ${length} bytes; ${MAX_FRAME_BYTES} are allowed`);
    const start = at + PREFIX_BYTES;
    const frameEnd = start + length;
    if (length > 0 && end === start) {
      this.#wanted = PREFIX_BYTES + Math.min(length, MAX_DATA_HEADER_BYTES);
      return -1;
    }
    if (from[start] === TAG_FRAME_DATA) {
      const behind = this.#data(from, start, Math.min(end, frameEnd), frameEnd);
      if (behind >= 0) return behind;
      if (behind === -1) {
        this.#wanted = PREFIX_BYTES + Math.min(length, MAX_DATA_HEADER_BYTES);
        if (end - at < this.#wanted) return -1;
      }
    }
    // Not Data in the usual order of its fields: decoded as a whole.
    const cap = from[start] === TAG_FRAME_DATA ? MAX_FRAME_BYTES : MAX_CONTROL_FRAME_BYTES;
    if (length > cap) throw malformed(`a frame of ${length} bytes; ${cap} are allowed of its kind`);
    if (frameEnd > end) {
      this.#collecting = true;
      this.#wanted = PREFIX_BYTES + length;
      return -1;
    }
    this.#whole(from.subarray(start, frameEnd));
    return frameEnd;
  }

  /** Returns the position of the first byte behind the header, -1: incomplete, or -2: not in canonical form. */
  #data(from: Buffer, start: number, end: number, frameEnd: number): number {
    const varint = this.#varint;
    let at = start + 1;
    if (!varint.read(from, at, end)) return varint.next === -1 ? -2 : -1;
    if (varint.next + varint.value !== frameEnd) return -2;
    at = varint.next;
    if (at >= end) return -1;
    if (from[at] !== TAG_CHANNEL) return -2;
    if (!varint.read(from, at + 1, end)) return varint.next === -1 ? -2 : -1;
    const channel = varint.value;
    at = varint.next;
    if (at >= end) return at === frameEnd ? -2 : -1;
    let offset = 0;
    if (from[at] === TAG_OFFSET) {
      if (!varint.read(from, at + 1, end)) return varint.next === -1 ? -2 : -1;
      offset = varint.value;
      at = varint.next;
      if (at >= end) return at === frameEnd ? -2 : -1;
    }
    if (from[at] !== TAG_PAYLOAD) return -2;
    if (!varint.read(from, at + 1, end)) return varint.next === -1 ? -2 : -1;
    const size = varint.value;
    at = varint.next;
    if (at + size !== frameEnd) return -2;
    this.#begin(channel, offset, size);
    return at;
  }

  #begin(channel: number, offset: number, size: number): void {
    if (size > MAX_DATA_BYTES)
      throw malformed(`${size} bytes of payload; ${MAX_DATA_BYTES} are allowed`);
    if (channel > 0xffffffff) throw malformed('a channel number over 32 bits');
    if (offset + size > Number.MAX_SAFE_INTEGER) throw malformed('an offset beyond 2^53');
    this.#dataChannel = channel;
    this.#dataOffset = offset;
    this.#dataLeft = size;
    if (this.tap !== undefined) this.tap.receivedData(channel, offset, size);
  }

  /** Frames that come with bulk and hold nothing but varints. False: not one of them, or not in canonical form. */
  #small(bytes: Buffer): boolean {
    const tag = bytes[0];
    if (tag !== TAG_FRAME_CREDIT && tag !== TAG_FRAME_PING && tag !== TAG_FRAME_PONG) return false;
    if (bytes[1] !== bytes.length - 2) return false;
    const fields = this.#fields;
    fields.fill(0);
    let last = 0;
    for (let at = 2; at < bytes.length; at = this.#varint.next) {
      const number = bytes[at]! >>> 3;
      const varintType = (bytes[at]! & 7) === 0;
      if (!varintType || number <= last || number > 3) return false;
      if (!this.#varint.read(bytes, at + 1, bytes.length)) return false;
      fields[number] = this.#varint.value;
      last = number;
    }
    if (tag === TAG_FRAME_CREDIT) this.#sink.onCredit(fields[1]!, fields[2]!, fields[3]!);
    else if (tag === TAG_FRAME_PING) this.#sink.onPing(fields[1]!);
    else this.#sink.onPong(fields[1]!);
    return true;
  }

  #whole(bytes: Buffer): void {
    if (this.#small(bytes)) return;
    let frame: Frame;
    try {
      frame = fromBinary(FrameSchema, bytes, { readUnknownFields: false });
    } catch (cause) {
      throw malformed('a frame that is not valid protobuf', cause);
    }
    switch (frame.kind.case) {
      case undefined:
        return;
      case 'credit': {
        const { channel, acked, limit } = frame.kind.value;
        return this.#sink.onCredit(channel, safeNumber(acked), safeNumber(limit));
      }
      case 'ping':
        return this.#sink.onPing(safeNumber(frame.kind.value.token));
      case 'pong':
        return this.#sink.onPong(safeNumber(frame.kind.value.token));
      case 'data':
        break;
      default:
        return this.#sink.onFrame(frame.kind);
    }
    const { channel, offset, payload } = frame.kind.value;
    this.#begin(channel, safeNumber(offset), payload.length);
    if (payload.length > 0) {
      const copy = Buffer.from(payload);
      this.#payload(copy, 0, copy.length);
    }
  }

  #keep(chunk: Buffer, at: number, end: number): void {
    // A header needs a few bytes; a whole frame is within the caps checked above.
    this.#carry = Buffer.allocUnsafeSlow(Math.max(this.#wanted, end - at));
    this.#carried = chunk.copy(this.#carry, 0, at, end);
  }

  #refill(chunk: Buffer, at: number, end: number): number {
    let carry = this.#carry!;
    if (carry.length < this.#wanted) {
      const larger = Buffer.allocUnsafeSlow(this.#wanted);
      carry.copy(larger, 0, 0, this.#carried);
      this.#carry = carry = larger;
    }
    const copied = chunk.copy(
      carry,
      this.#carried,
      at,
      Math.min(end, at + this.#wanted - this.#carried),
    );
    this.#carried += copied;
    if (this.#carried < this.#wanted) return end;
    if (this.#collecting) {
      this.#carry = undefined;
      this.#whole(carry.subarray(PREFIX_BYTES, this.#carried));
      return at + copied;
    }
    const behind = this.#frame(carry, 0, this.#carried);
    if (behind < 0) return at + copied;
    this.#carry = undefined;
    // Payload that came along with the header.
    if (behind < this.#carried && this.#dataLeft > 0) this.#payload(carry, behind, this.#carried);
    return at + copied;
  }
}

/** uint64 fields count bytes; none of ours may pass 2^53. */
export function safeNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('a number beyond 2^53');
  return Number(value);
}

function malformed(what: string, cause?: unknown): TunnelError {
  return new TunnelError('protocol-error', `The peer sent ${what}.`, { cause });
}
