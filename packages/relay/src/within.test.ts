import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { within } from './within.ts';

const late = (): Error => new Error('too late');

test('what is done in time counts, whichever way it ends, and leaves no timer', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    assert.equal(await within(1_000, Promise.resolve('done'), late), 'done');
    await assert.rejects(within(1_000, Promise.reject(new Error('failed')), late), /failed/);
    mock.timers.tick(1_000);
  } finally {
    mock.timers.reset();
  }
});

test('what takes longer is given up, and may fail afterwards unheard', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const slow = Promise.withResolvers<never>();
    const waiting = within(1_000, slow.promise, late);
    mock.timers.tick(1_000);
    await assert.rejects(waiting, /too late/);
    slow.reject(new Error('nobody listens'));
  } finally {
    mock.timers.reset();
  }
});
