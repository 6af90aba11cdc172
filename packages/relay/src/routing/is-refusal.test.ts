import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TunnelError } from '@burrow/tunnel';
import { isRefusal } from './is-refusal.ts';

test('a relay that says it does not have the agent refuses', () => {
  const said = new TunnelError('agent-gone', 'not connected here any more', { remote: true });
  assert.equal(isRefusal(said), true);
});

test('a way that broke or is left says nothing about who has the agent', () => {
  const left = new TunnelError('draining', 'The link drains, and another is there.');
  const detached = new TunnelError('agent-gone', 'A link on the way was lost: it drains', {
    remote: true,
  });
  for (const error of [left, detached]) assert.equal(isRefusal(error), false);
});
