import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../../tests/harness/eventually.ts';
import { Kept, type Running } from './kept.ts';

class Fake implements Running {
  readonly #end = Promise.withResolvers<string>();
  readonly ended = this.#end.promise;
  stops = 0;

  fail(how: string): void {
    this.#end.resolve(how);
  }

  async stop(): Promise<void> {
    this.stops += 1;
    this.#end.resolve('asked to');
  }
}

test('what ends by itself is started again, later each time while that fails', async () => {
  const all: Fake[] = [];
  const told: [string, number][] = [];
  let broken = false;
  const kept = await Kept.start({
    signal: new AbortController().signal,
    restartMs: 1,
    start: async () => {
      if (broken) throw new Error('no room');
      all.push(new Fake());
      return all.at(-1)!;
    },
    onEnded: (how, delayMs) => void told.push([how, delayMs]),
    onStarted: () => {},
  });
  all[0]!.fail('SIGKILL');
  await eventually('it runs again', () => all.length === 2 && kept.running === all[1]);
  broken = true;
  all[1]!.fail('code 1');
  await eventually('it was tried', () => told.length >= 4);
  await kept.stop();
  await kept.stop();
  assert.deepEqual(told.slice(0, 4), [
    ['SIGKILL', 1],
    ['code 1', 1],
    ['no room', 2],
    ['no room', 4],
  ]);
  assert.equal(all.length, 2);
});

test('what is stopped stays so', async () => {
  const fake = new Fake();
  const kept = await Kept.start({
    signal: new AbortController().signal,
    start: async () => fake,
    onEnded: () => assert.fail('nobody asked for it again'),
    onStarted: () => {},
  });
  await kept.stop();
  assert.ok(fake.stops > 0);
});
