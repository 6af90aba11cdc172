import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';

import { TunnelError } from '../errors.ts';
import { FrameSchema } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import { MAX_CONTROL_FRAME_BYTES, MAX_DATA_BYTES, MAX_FRAME_BYTES } from '../limits.ts';
import { FrameDecoder } from './decode.ts';
import type { FrameSink } from './decode.ts';
import { Batch } from './encode.ts';
import { VarintReader, varintLength, writeVarint } from './varint.ts';

type Event =
  | { kind: 'ping'; token: number }
  | { kind: 'pong'; token: number }
  | { kind: 'data'; channel: number; offset: number; payload: Buffer }
  | { kind: 'credit'; channel: number; acked: number; limit: number }
  | { kind: 'reset'; channel: number; reason: string };

const offset = fc.maxSafeNat().filter((n) => n < Number.MAX_SAFE_INTEGER - MAX_DATA_BYTES);
const channel = fc.integer({ min: 1, max: 0xffffffff });
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    kind: fc.constant('data' as const),
    channel,
    offset: fc.oneof(fc.constant(0), offset),
    payload: fc
      .tuple(
        fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: MAX_DATA_BYTES })),
        fc.nat(255),
      )
      .map(([size, seed]) => Buffer.alloc(size, Buffer.from([seed, seed + 1, 7]))),
  }),
  fc.record({ kind: fc.constantFrom('ping' as const, 'pong' as const), token: offset }),
  fc.record({ kind: fc.constant('credit' as const), channel, acked: offset, limit: offset }),
  fc.record({
    kind: fc.constant('reset' as const),
    channel,
    reason: fc.string({ maxLength: 100 }),
  }),
);

const SILENT: FrameSink = {
  onData: () => {},
  onCredit: () => {},
  onPing: () => {},
  onPong: () => {},
  onFrame: () => {},
};

function encode(events: readonly Event[]): Buffer {
  const batch = new Batch();
  for (const e of events) {
    if (e.kind === 'data') batch.data(e.channel, e.offset, e.payload);
    else if (e.kind === 'ping' || e.kind === 'pong') batch[e.kind](e.token);
    else if (e.kind === 'credit') batch.credit(e.channel, e.acked, e.limit);
    else batch.control({ case: 'reset', value: { channel: e.channel, code: 1, reason: e.reason } });
  }
  const bytes = batch.bytes;
  const encoded = Buffer.concat(batch.take());
  assert.equal(encoded.length, bytes, 'the batch counts what it holds');
  return encoded;
}

/** Decodes; runs of data that continue each other are joined, since they may be cut anywhere. */
function decode(chunks: readonly Buffer[]): Event[] {
  const events: Event[] = [];
  let joined: Extract<Event, { kind: 'data' }> | undefined;
  const decoder = new FrameDecoder({
    onData: (number, at, payload) => {
      const copy = Buffer.from(payload);
      if (
        joined !== undefined &&
        joined.channel === number &&
        joined.offset + joined.payload.length === at
      ) {
        joined.payload = Buffer.concat([joined.payload, copy]);
      } else {
        joined = { kind: 'data', channel: number, offset: at, payload: copy };
        events.push(joined);
      }
    },
    onCredit: (number, acked, limit) => {
      joined = undefined;
      events.push({ kind: 'credit', channel: number, acked, limit });
    },
    onPing: (token) => {
      joined = undefined;
      events.push({ kind: 'ping', token });
    },
    onPong: (token) => {
      joined = undefined;
      events.push({ kind: 'pong', token });
    },
    onFrame: (kind) => {
      joined = undefined;
      if (kind.case === 'reset') {
        events.push({ kind: 'reset', channel: kind.value.channel, reason: kind.value.reason });
      }
    },
  });
  for (const chunk of chunks) decoder.push(chunk);
  assert.ok(decoder.idle, 'nothing is left over');
  return events;
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((n) => n % (bytes.length + 1)))].sort((a, b) => a - b);
  const chunks: Buffer[] = [];
  let from = 0;
  for (const to of [...places, bytes.length]) {
    if (to > from) chunks.push(bytes.subarray(from, to));
    from = to;
  }
  return chunks;
}

test('what is encoded is decoded, however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 12 }),
      fc.array(fc.nat(1_000_000), { maxLength: 20 }),
      (events, cuts) => {
        const bytes = encode(events);
        assert.deepEqual(decode(cut(bytes, cuts)), decode([bytes]));
      },
    ),
    { numRuns: 300 },
  );
});

test('one byte at a time is as good as all at once', () => {
  const events: Event[] = [
    { kind: 'data', channel: 300, offset: 2 ** 40, payload: Buffer.alloc(5000, 'ab') },
    { kind: 'credit', channel: 1, acked: 2 ** 52, limit: 2 ** 52 + 1 },
    { kind: 'data', channel: 1, offset: 0, payload: Buffer.from('x') },
    { kind: 'reset', channel: 7, reason: 'nothing listens on port 3000' },
  ];
  const bytes = encode(events);
  assert.deepEqual(decode(Array.from(bytes, (byte) => Buffer.from([byte]))), events);
});

test('our encoding of data is the canonical one, so that any protobuf library reads it', () => {
  fc.assert(
    fc.property(
      channel,
      offset,
      fc.uint8Array({ minLength: 1, maxLength: 9000 }),
      (number, at, payload) => {
        const ours = encode([
          { kind: 'data', channel: number, offset: at, payload: Buffer.from(payload) },
        ]);
        const theirs = toBinary(
          FrameSchema,
          create(FrameSchema, {
            kind: { case: 'data', value: { channel: number, offset: BigInt(at), payload } },
          }),
        );
        assert.deepEqual(ours.subarray(5), Buffer.from(theirs));
      },
    ),
    { numRuns: 100 },
  );
});

test('pings, pongs and credits encoded by the protobuf runtime are the same to us as our own', () => {
  fc.assert(
    fc.property(channel, offset, offset, (number, acked, limit) => {
      const theirs = [
        { case: 'ping', value: { token: BigInt(acked) } },
        { case: 'pong', value: { token: BigInt(limit) } },
        {
          case: 'credit',
          value: { channel: number, acked: BigInt(acked), limit: BigInt(limit) },
        },
      ] as const;
      const ours = [
        encode([{ kind: 'ping', token: acked }]),
        encode([{ kind: 'pong', token: limit }]),
        encode([{ kind: 'credit', channel: number, acked, limit }]),
      ];
      for (const [i, kind] of theirs.entries()) {
        const bytes = Buffer.from(toBinary(FrameSchema, create(FrameSchema, { kind })));
        const theirPrefix = Buffer.alloc(5);
        theirPrefix.writeUInt32BE(bytes.length, 1);
        assert.deepEqual(decode([Buffer.concat([theirPrefix, bytes])]), decode([ours[i]!]));
      }
    }),
  );
});

test('data with its fields in another order, or with unknown ones, is understood', () => {
  // payload (3), channel (1), an unknown field (9), offset (2)
  const inner = Buffer.from([0x1a, 2, 0x68, 0x69, 0x08, 5, 0x48, 1, 0x10, 9]);
  const message = Buffer.concat([Buffer.from([0x0a, inner.length]), inner]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const bytes = Buffer.concat([prefix, message]);
  const expected = [{ kind: 'data', channel: 5, offset: 9, payload: Buffer.from('hi') }];
  assert.deepEqual(decode([bytes]), expected);
  assert.deepEqual(decode(Array.from(bytes, (byte) => Buffer.from([byte]))), expected);
});

test('an oversized frame is refused by its prefix, before its bytes arrive', () => {
  const decoder = new FrameDecoder(SILENT);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(MAX_FRAME_BYTES + 1, 1);
  assert.throws(() => decoder.push(prefix), isProtocolError);
});

test('a control frame over its own, smaller cap is refused before it is collected', () => {
  const decoder = new FrameDecoder(SILENT);
  const prefix = Buffer.alloc(6);
  prefix.writeUInt32BE(MAX_CONTROL_FRAME_BYTES + 1, 1);
  prefix[5] = (5 << 3) | 2;
  assert.throws(() => decoder.push(prefix), isProtocolError);
});

test('data over 64 KiB is refused', () => {
  const bytes = encode([
    { kind: 'data', channel: 1, offset: 0, payload: Buffer.alloc(MAX_DATA_BYTES + 1) },
  ]);
  assert.throws(() => decode([bytes]), isProtocolError);
});

test('garbage never does anything but a protocol error', () => {
  const run = (bytes: Uint8Array): void => {
    const decoder = new FrameDecoder(SILENT);
    try {
      decoder.push(Buffer.from(bytes));
    } catch (error) {
      assert.ok(isProtocolError(error), String(error));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), run), { numRuns: 2000 });
  // Valid frames with bytes changed come further into the decoder than noise does.
  fc.assert(
    fc.property(
      fc.array(event, { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      (events, changes) => {
        const bytes = encode(events);
        for (const [at, value] of changes) bytes[at % Math.min(bytes.length, 64)] = value;
        run(bytes);
      },
    ),
    { numRuns: 1000 },
  );
});

test('varints up to 2^53 - 1 survive', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      const bytes = Buffer.alloc(10);
      const end = writeVarint(bytes, 0, value);
      assert.equal(end, varintLength(value));
      const reader = new VarintReader();
      assert.ok(reader.read(bytes, 0, end));
      assert.deepEqual([reader.value, reader.next], [value, end]);
      assert.ok(!reader.read(bytes, 0, end - 1) && reader.next !== -1, 'a cut one asks for more');
    }),
  );
});

function isProtocolError(error: unknown): boolean {
  return error instanceof TunnelError && error.code === 'protocol-error';
}
