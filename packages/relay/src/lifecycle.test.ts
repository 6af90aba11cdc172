import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lifecycle, type LifeStory } from './lifecycle.ts';

function told(over: Partial<LifeStory> = {}): { story: LifeStory; lines: string[] } {
  const lines: string[] = [];
  const note = (line: string) => (): void => void lines.push(line);
  const later = (line: string) => async (): Promise<void> => void lines.push(line);
  const story: LifeStory = {
    begin: [later('first'), later('second')],
    open: note('open'),
    say: note('say'),
    shut: later('shut'),
    drain: async (graceMs) => void lines.push(`drain ${graceMs}`),
    end: later('end'),
    ...over,
  };
  return { story, lines };
}

test('parts start one after the other, and stop from the outside in', async () => {
  const { story, lines } = told();
  const life = new Lifecycle();
  assert.equal(life.state, 'starting');
  await life.start(story);
  assert.equal(life.state, 'ready');
  await life.stop(story, 5);
  assert.equal(life.state, 'draining');
  await life.stop(story, 5);
  assert.deepEqual(lines, ['first', 'second', 'open', 'say', 'shut', 'drain 5', 'end']);
});

test('a part that fails stops all, without a drain', async () => {
  const { story, lines } = told({ begin: [() => Promise.reject(new Error('no port'))] });
  await assert.rejects(new Lifecycle().start(story), /no port/);
  assert.deepEqual(lines, ['say', 'shut', 'end']);
});

test('a stop in the middle of the start waits for the part that is being started, and starts no other', async () => {
  const first = Promise.withResolvers<void>();
  const { story, lines } = told();
  const life = new Lifecycle();
  const starting = life.start({ ...story, begin: [() => first.promise, ...story.begin] });
  const stopping = life.stop(story, 0);
  await Promise.resolve();
  assert.deepEqual(lines, ['say']);
  first.resolve();
  await assert.rejects(starting, { code: 'unavailable' });
  await stopping;
  assert.deepEqual(lines, ['say', 'shut', 'end']);
});

test('who is in more of a hurry does not wait for the first one’s grace', async () => {
  const { story, lines } = told({ drain: () => new Promise(() => {}) });
  const life = new Lifecycle();
  await life.start(story);
  const patient = life.stop(story, 60_000);
  await life.stop(story, 0);
  await patient;
  assert.equal(lines.at(-1), 'end');
});

test('a part that cannot be shut or drained does not keep the rest from ending', async () => {
  for (const part of ['shut', 'drain'] as const) {
    const { story, lines } = told({ [part]: () => Promise.reject(new Error('broken')) });
    const life = new Lifecycle();
    await life.start(story);
    await assert.rejects(life.stop(story, 0), /broken/);
    assert.equal(lines.at(-1), 'end');
  }
});
