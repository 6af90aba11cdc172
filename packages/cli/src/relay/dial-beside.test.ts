import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Link } from '@burrow/tunnel';
import { CliError, EXIT } from '../cli-error.ts';
import { dialBeside } from './dial-beside.ts';

const AFTER_MS = 1_000;

function stand(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const dials: (PromiseWithResolvers<Link> & { readonly signal: AbortSignal })[] = [];
  const closed: string[] = [];
  const link = (name: string): Link =>
    ({ id: name, close: () => closed.push(name) }) as unknown as Link;
  const dialled = dialBeside((signal) => {
    const dial = { ...Promise.withResolvers<Link>(), signal };
    dials.push(dial);
    return dial.promise;
  }, AFTER_MS);
  dialled.catch(() => {});
  return {
    ...{ dials, closed, link, dialled },
    /** Time for others, which those that were told something have heard before. */
    turns: async (count: number): Promise<void> => {
      await settled();
      t.mock.timers.tick(count * AFTER_MS);
    },
  };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('a dial that is not answered gets company; who comes first is used, the other ended', async (t) => {
  const { dials, closed, link, dialled, turns } = stand(t);
  await turns(1);
  dials[1]!.resolve(link('second'));
  assert.equal((await dialled).id, 'second');
  assert.ok(dials[0]!.signal.aborted, 'it is told to end');
  dials[0]!.resolve(link('first'));
  await settled();
  assert.deepEqual(closed, ['first'], 'its link came all the same');
  await turns(10);
  assert.equal(dials.length, 2);
});

test('the second fails: the first is still waited for', async (t) => {
  const { dials, link, dialled, turns } = stand(t);
  await turns(1);
  dials[1]!.reject(new Error('refused'));
  await settled();
  assert.equal(dials[0]!.signal.aborted, false);
  dials[0]!.resolve(link('first'));
  assert.equal((await dialled).id, 'first');
});

test('both fail: the last one tells why', async (t) => {
  const { dials, dialled, turns } = stand(t);
  await turns(1);
  dials[0]!.reject(new Error('in time'));
  dials[1]!.reject(new Error('refused'));
  await assert.rejects(dialled, /refused/);
});

test('a dial that is refused at once is not repeated here', async (t) => {
  const { dials, dialled, turns } = stand(t);
  dials[0]!.reject(new Error('refused'));
  await assert.rejects(dialled, /refused/);
  await turns(10);
  assert.equal(dials.length, 1);
});

test('at most four are under way, however long none is answered', async (t) => {
  const { dials, link, dialled, turns } = stand(t);
  await turns(6);
  assert.equal(dials.length, 4);
  dials[3]!.resolve(link('fourth'));
  assert.equal((await dialled).id, 'fourth');
});

test('those that were refused make room for others beside one that hangs', async (t) => {
  const { dials, link, dialled, turns } = stand(t);
  for (let refused = 1; refused <= 3; refused += 1) {
    await turns(1);
    dials[refused]!.reject(new Error('refused'));
  }
  await turns(1);
  assert.equal(dials.length, 5);
  dials[4]!.resolve(link('fifth'));
  assert.equal((await dialled).id, 'fifth');
});

test('after a while none is begun any more: it ends when those under way do', async (t) => {
  const { dials, dialled, turns } = stand(t);
  await turns(100);
  for (const { reject } of dials) reject(new Error('in time'));
  await assert.rejects(dialled, /in time/);
  await turns(100);
  assert.equal(dials.length, 4);
});

test('a relay that knows us no longer decides, whatever else is under way', async (t) => {
  const { dials, dialled, turns } = stand(t);
  await turns(1);
  dials[0]!.reject(new CliError('The token is unknown.', EXIT.notSignedIn));
  await assert.rejects(dialled, { exitCode: EXIT.notSignedIn });
  assert.ok(dials[1]!.signal.aborted);
});
