import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { replayBudget } from './replay-budget.ts';
import { ReplayLog } from './replay-log.ts';

const step = fc.oneof(
  fc.record({ kind: fc.constant('push' as const), bytes: fc.integer({ min: 1, max: 9_000 }) }),
  fc.record({
    kind: fc.constant('acknowledge' as const),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({
    kind: fc.constant('take' as const),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
);

test('what is taken out is what was pushed and not acknowledged, whatever its pieces', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const log = new ReplayLog();
      let sent = Buffer.alloc(0);
      let acked = 0;
      for (const each of steps) {
        if (each.kind === 'push') {
          const piece = Buffer.from(
            Array.from({ length: each.bytes }, (_, i) => (sent.length + i) & 255),
          );
          sent = Buffer.concat([sent, piece]);
          log.push(piece);
          // What is small was copied: its owner may use it again.
          if (piece.length < 4096) piece.fill(0);
          continue;
        }
        const offset = acked + Math.floor(each.share * (sent.length - acked));
        if (each.kind === 'acknowledge') log.acknowledge(offset);
        else {
          const taken = log.take(offset);
          assert.ok(Buffer.concat(taken).equals(sent.subarray(offset)));
          assert.equal(log.bytes, 0);
          sent = sent.subarray(0, offset);
        }
        acked = offset;
        assert.ok(log.bytes >= sent.length - acked);
      }
      log.clear();
    }),
  );
  assert.equal(replayBudget.bytes, 0);
});
