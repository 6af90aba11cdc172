import { create, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';

import { FrameSchema } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import { COPY_BYTES } from '../limits.ts';
import { varintLength, writeVarint } from './varint.ts';

export type FrameKind = NonNullable<MessageInitShape<typeof FrameSchema>['kind']>;

/** Hears what is put into a batch, without payloads. */
export interface BatchTap {
  sentData(channel: number, offset: number, length: number): void;
  sentCredit(channel: number, acked: number, limit: number): void;
  sent(kind: FrameKind): void;
}

const SLAB_BYTES = 64 * 1024;
const PREFIX_BYTES = 5;
/** Prefix, three tags, and varints of a channel, an offset and two lengths. */
const MAX_DATA_HEADER_BYTES = 40;

const TAG_FRAME_DATA = (1 << 3) | 2;
const TAG_FRAME_CREDIT = (2 << 3) | 2;
const TAG_FRAME_PING = (12 << 3) | 2;
const TAG_FRAME_PONG = (13 << 3) | 2;
const TAG_CHANNEL = (1 << 3) | 0;
const TAG_SECOND = (2 << 3) | 0;
const TAG_THIRD = (3 << 3) | 0;
const TAG_PAYLOAD = (3 << 3) | 2;

/**
 * Collects frames for one write to a transport. Headers and small payloads go
 * into a slab that all links of the process share (an idle link holds no
 * buffer), large payloads are passed on as they are. A batch is filled and
 * taken in one go: nothing else may encode in between.
 */
export class Batch {
  bytes = 0;
  /** Told of each frame about a channel; undefined, as nearly always: nobody listens. */
  tap: BatchTap | undefined;
  #chunks: Buffer[] = [];
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #start = 0;
  #at = 0;

  data(channel: number, offset: number, payload: Buffer): void {
    this.begin(channel, offset, payload.length);
    this.more(payload);
  }

  /** The header of a Data frame whose payload follows in pieces. */
  begin(channel: number, offset: number, size: number): void {
    if (this.tap !== undefined) this.tap.sentData(channel, offset, size);
    const inner =
      1 +
      varintLength(channel) +
      (offset === 0 ? 0 : 1 + varintLength(offset)) +
      1 +
      varintLength(size) +
      size;
    this.#reserve(MAX_DATA_HEADER_BYTES);
    let at = this.#prefix(1 + varintLength(inner) + inner);
    const slab = this.#slab;
    slab[at++] = TAG_FRAME_DATA;
    at = writeVarint(slab, at, inner);
    slab[at++] = TAG_CHANNEL;
    at = writeVarint(slab, at, channel);
    if (offset !== 0) {
      slab[at++] = TAG_SECOND;
      at = writeVarint(slab, at, offset);
    }
    slab[at++] = TAG_PAYLOAD;
    at = writeVarint(slab, at, size);
    this.#advance(at);
  }

  /** The next piece of it. Small ones are copied, so that they need no chunk of their own. */
  more(payload: Buffer): void {
    const size = payload.length;
    if (size < COPY_BYTES) {
      this.#reserve(size);
      this.#slab.set(payload, this.#at);
      this.#advance(this.#at + size);
    } else {
      this.#seal();
      this.#chunks.push(payload);
      this.bytes += size;
    }
  }

  /** Credits, pings and pongs come with bulk, so these too are encoded without objects. */
  credit(channel: number, acked: number, limit: number): void {
    if (this.tap !== undefined) this.tap.sentCredit(channel, acked, limit);
    const inner = 1 + varintLength(channel) + 1 + varintLength(acked) + 1 + varintLength(limit);
    this.#reserve(MAX_DATA_HEADER_BYTES);
    let at = this.#prefix(1 + varintLength(inner) + inner);
    const slab = this.#slab;
    slab[at++] = TAG_FRAME_CREDIT;
    at = writeVarint(slab, at, inner);
    slab[at++] = TAG_CHANNEL;
    at = writeVarint(slab, at, channel);
    slab[at++] = TAG_SECOND;
    at = writeVarint(slab, at, acked);
    slab[at++] = TAG_THIRD;
    at = writeVarint(slab, at, limit);
    this.#advance(at);
  }

  ping(token: number): void {
    this.#token(TAG_FRAME_PING, token);
  }

  pong(token: number): void {
    this.#token(TAG_FRAME_PONG, token);
  }

  #token(tag: number, token: number): void {
    const inner = 1 + varintLength(token);
    this.#reserve(MAX_DATA_HEADER_BYTES);
    let at = this.#prefix(2 + inner);
    const slab = this.#slab;
    slab[at++] = tag;
    slab[at++] = inner;
    slab[at++] = TAG_CHANNEL;
    this.#advance(writeVarint(slab, at, token));
  }

  control(kind: FrameKind): void {
    if (this.tap !== undefined) this.tap.sent(kind);
    const encoded = toBinary(FrameSchema, create(FrameSchema, { kind }));
    this.#reserve(PREFIX_BYTES + encoded.length);
    const at = this.#prefix(encoded.length);
    this.#slab.set(encoded, at);
    this.#advance(at + encoded.length);
  }

  /** What was collected; the batch is empty again. */
  take(): Buffer[] {
    this.#seal();
    const chunks = this.#chunks;
    this.#chunks = [];
    this.bytes = 0;
    return chunks;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#slab.length) return;
    this.#seal();
    // Never reused: what was taken may still be on its way to the kernel.
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
    this.#start = this.#at = 0;
  }

  #prefix(messageBytes: number): number {
    const slab = this.#slab;
    const at = this.#at;
    slab[at] = 0;
    slab[at + 1] = messageBytes >>> 24;
    slab[at + 2] = messageBytes >>> 16;
    slab[at + 3] = messageBytes >>> 8;
    slab[at + 4] = messageBytes;
    return at + PREFIX_BYTES;
  }

  #advance(to: number): void {
    this.bytes += to - this.#at;
    this.#at = to;
  }

  #seal(): void {
    if (this.#at === this.#start) return;
    this.#chunks.push(this.#slab.subarray(this.#start, this.#at));
    this.#start = this.#at;
  }
}
