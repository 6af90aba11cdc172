import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '@burrow/tunnel';
import { dialBeside } from './dial-beside.ts';

function stand(afterMs = 5) {
  const dials: PromiseWithResolvers<Link>[] = [];
  const closed: string[] = [];
  const second = Promise.withResolvers<void>();
  const link = (name: string): Link =>
    ({ id: name, close: () => closed.push(name) }) as unknown as Link;
  const dialled = dialBeside(() => {
    const dial = Promise.withResolvers<Link>();
    dials.push(dial);
    if (dials.length === 2) second.resolve();
    return dial.promise;
  }, afterMs);
  return { dials, closed, link, dialled, another: () => second.promise };
}
test('a dial that is not answered gets company; who comes first is used, the other closed', async () => {
  const { dials, closed, link, dialled, another } = stand();
  await another();
  dials[1]!.resolve(link('second'));
  assert.equal((await dialled).id, 'second');
  dials[0]!.resolve(link('first'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(closed, ['first']);
});

test('the second fails: the first is still waited for; both fail: the last one tells why', async () => {
  const one = stand();
  await one.another();
  one.dials[1]!.reject(new Error('refused'));
  one.dials[0]!.resolve(one.link('first'));
  assert.equal((await one.dialled).id, 'first');
  const two = stand();
  await two.another();
  two.dials[0]!.reject(new Error('in time'));
  two.dials[1]!.reject(new Error('refused'));
  await assert.rejects(two.dialled, /refused/);
});

test('a dial that is refused at once is not repeated here', async () => {
  const { dials, dialled } = stand(60_000);
  dials[0]!.reject(new Error('refused'));
  await assert.rejects(dialled, /refused/);
  assert.equal(dials.length, 1);
});

test('at most four are under way, however long none is answered', async () => {
  const { dials, link, dialled } = stand(1);
  while (dials.length < 4) await new Promise((resolve) => setTimeout(resolve, 1));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(dials.length, 4);
  dials[3]!.resolve(link('fourth'));
  assert.equal((await dialled).id, 'fourth');
});
