import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { simulate } from './run.ts';

/** `npm test` runs some, `npm run test:long` 100,000. */
const RUNS = Number(process.env['BURROW_MODEL_RUNS'] ?? 1_000);
const FIRST = Number(process.env['BURROW_MODEL_SEED'] ?? 1);

test(`${RUNS} random worlds: bytes arrive exactly once and in order, whatever is cut`, async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  let attachments = 0;
  let moves = 0;
  let cuts = 0;
  let resets = 0;
  for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
    try {
      const outcome = await simulate(seed);
      attachments += outcome.attachments;
      moves += outcome.moves;
      cuts += outcome.cuts;
      if (outcome.reset) resets++;
    } catch (cause) {
      throw new Error(`seed ${seed}: ${(cause as Error).message}`, { cause });
    }
  }
  t.diagnostic(
    `${cuts} disturbances, ${attachments} attachments, ${moves} away from silent links, ${resets} resets`,
  );
  assert.ok(attachments > RUNS, 'the simulation resumed nothing');
  assert.ok(moves > 0, 'no link fell silent');
});
