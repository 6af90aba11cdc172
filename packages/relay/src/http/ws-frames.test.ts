import assert from 'node:assert/strict';
import type { Writable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import * as ws from 'ws';
import { closeFrame, FrameTracker } from './ws-frames.ts';

/** Not among the types, and part of the package all the same. */
const { Receiver, Sender } = ws as unknown as {
  readonly Receiver: new (options: { isServer: boolean }) => Writable;
  readonly Sender: { frame(data: Buffer, options: object): Buffer[] };
};

interface Frame {
  readonly opcode: number;
  readonly fin: boolean;
  readonly payload: Buffer;
  readonly compressed: boolean;
}

const payload = fc
  .tuple(
    fc.oneof(fc.nat(300), fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536, 70_000)),
    fc.nat(255),
  )
  .map(([length, fill]) => Buffer.alloc(length, fill));
const control = fc
  .tuple(fc.constantFrom(9, 10), fc.nat(125), fc.nat(255))
  .map(([opcode, length, fill]): Frame => {
    return { opcode, fin: true, payload: Buffer.alloc(length, fill), compressed: false };
  });
/** A message in one frame or several, with control frames in between. */
const message = fc
  .tuple(
    fc.constantFrom(1, 2),
    fc.array(payload, { minLength: 1, maxLength: 4 }),
    fc.array(control, { maxLength: 2 }),
    fc.boolean(),
  )
  .map(([opcode, parts, between, compressed]): Frame[] =>
    parts.flatMap((part, i) => [
      {
        opcode: i === 0 ? opcode : 0,
        fin: i === parts.length - 1,
        payload: part,
        compressed: compressed && i === 0,
      },
      ...(i < parts.length - 1 ? between : []),
    ]),
  );
const frames = fc
  .array(
    fc.oneof(
      message,
      control.map((each) => [each]),
    ),
    { maxLength: 6 },
  )
  .map((each) => each.flat());

/** As the `ws` package frames it. */
function encode({ opcode, fin, payload: data, compressed }: Frame, mask: boolean): Buffer {
  return Buffer.concat(
    Sender.frame(Buffer.from(data), { opcode, fin, mask, readOnly: false, rsv1: compressed }),
  );
}

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length));
}

test('however a stream is split, its boundaries are those of its frames', () => {
  fc.assert(
    fc.property(frames, fc.boolean(), fc.array(fc.nat(), { maxLength: 12 }), (all, mask, cuts) => {
      const encoded = all.map((frame) => encode(frame, mask));
      const bytes = Buffer.concat(encoded);
      const ends = new Set([0]);
      let sum = 0;
      for (const each of encoded) ends.add((sum += each.length));

      const pushed = new FrameTracker(mask);
      let seen = 0;
      for (const piece of split(bytes, cuts)) {
        pushed.push(piece);
        seen += piece.length;
        assert.equal(pushed.atBoundary, ends.has(seen), `after ${seen} of ${bytes.length}`);
        assert.ok(!pushed.broken && !pushed.closed);
      }

      // Stopping finds each of them, in order.
      const stopped = new FrameTracker(mask);
      const found: number[] = [];
      let base = 0;
      for (const piece of split(bytes, cuts)) {
        let rest = piece;
        for (;;) {
          const end = stopped.pushToBoundary(rest);
          if (end === -1) break;
          found.push(base + piece.length - rest.length + end);
          rest = rest.subarray(end);
        }
        base += piece.length;
      }
      assert.deepEqual(
        found,
        [...ends].filter((end) => end > 0),
      );
    }),
    { numRuns: 300 },
  );
});

test('what a reader of frames refuses is not followed', () => {
  const bytes = (...values: number[]): Buffer => Buffer.from(values);
  for (const [what, wrong] of [
    ['a masked frame of a server', bytes(0x81, 0x80)],
    ['a reserved bit', bytes(0x91, 0)],
    ['a reserved opcode', bytes(0x83, 0)],
    ['a reserved control opcode', bytes(0x8b, 0)],
    ['a fragmented control frame', bytes(0x09, 0)],
    ['a compressed control frame', bytes(0xc9, 0)],
    ['a long control frame', bytes(0x89, 126, 0, 126)],
    ['a continuation of nothing', bytes(0x80, 0)],
    ['a message within a message', bytes(0x01, 0, 0x81, 0)],
    ['a length in two bytes that fits one', bytes(0x82, 126, 0, 125)],
    ['a length in eight bytes that fits two', bytes(0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff)],
    ['a length beyond all reason', bytes(0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0)],
    ['a frame after Close', bytes(0x88, 0, 0x81, 0)],
    ['a second Close', bytes(0x88, 0, 0x88, 0)],
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ] as const) {
    const tracker = new FrameTracker(false);
    tracker.push(wrong);
    assert.ok(tracker.broken, what);
    tracker.push(bytes(0x81, 0));
    assert.ok(tracker.broken && !tracker.atBoundary, what);
  }
  const client = new FrameTracker(true);
  client.push(bytes(0x81, 0));
  assert.ok(client.broken, 'an unmasked frame of a client');
});

test('it never throws, and breaks for good', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), fc.boolean(), (pieces, mask) => {
      const tracker = new FrameTracker(mask);
      let broken = false;
      for (const piece of pieces) {
        const end = tracker.pushToBoundary(piece);
        assert.ok(end >= -1 && end <= piece.length);
        assert.ok(tracker.broken || !broken);
        broken = tracker.broken;
      }
    }),
  );
});

test('a length of eight bytes is skipped without being read', () => {
  const tracker = new FrameTracker(false);
  const head = Buffer.from([0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]);
  for (const byte of head) tracker.push(Buffer.from([byte]));
  const mebibyte = Buffer.alloc(1024 * 1024);
  for (let i = 0; i < 4096; i++) {
    assert.ok(!tracker.atBoundary);
    tracker.push(mebibyte);
  }
  assert.ok(tracker.atBoundary);
});

for (const from of ['server', 'client'] as const) {
  test(`a Close frame of a ${from} is what the other side reads`, async () => {
    const client = from === 'client';
    const reason = 'Größer, schöner: connect again.';
    const frame = closeFrame(1001, reason, client ? Buffer.from([1, 2, 3, 4]) : undefined);
    const receiver = new Receiver({ isServer: client });
    const closed = new Promise<[number, string]>((resolve) =>
      receiver.on('conclude', (code: number, text: Buffer) => resolve([code, text.toString()])),
    );
    receiver.write(frame);
    assert.deepEqual(await closed, [1001, reason]);
    const tracker = new FrameTracker(client);
    tracker.push(frame);
    assert.ok(tracker.closed && tracker.atBoundary);
  });
}

test('a reason that does not fit is a mistake of ours', () => {
  assert.equal(closeFrame(1001, 'x'.repeat(123)).length, 127);
  assert.throws(() => closeFrame(1001, 'x'.repeat(124)), RangeError);
});
