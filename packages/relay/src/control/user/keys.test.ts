import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { generateHostKey } from '@burrow/ssh';
import { testControl } from '../testing.ts';

describe('/user/keys', () => {
  it('adds, lists, shows and removes', async () => {
    await using t = await testControl();
    const { publicLine, fingerprint } = generateHostKey();
    const expiresAt = new Date(t.clock.now() + 86_400_000).toISOString();
    const input = { title: ' laptop ', key: `${publicLine} alice@laptop`, expiresAt };
    const added = await t.call(t.alice, 'POST', '/user/keys', input);
    assert.equal(added.status, 201);
    const { id, ...rest } = added.body;
    assert.equal(added.headers['location'], `/api/v1/user/keys/${id}`);
    assert.deepEqual(rest, {
      title: 'laptop',
      key: publicLine,
      fingerprint,
      createdAt: new Date(t.clock.now()).toISOString(),
      expiresAt,
      lastUsedAt: null,
    });
    const path = `/user/keys/${id}`;
    assert.deepEqual((await t.call(t.alice, 'GET', '/user/keys')).body, { keys: [added.body] });
    assert.deepEqual((await t.call(t.alice, 'GET', path)).body, added.body);
    for (const who of [t.bob, t.root]) {
      assert.deepEqual((await t.call(who, 'GET', '/user/keys')).body, { keys: [] });
      assert.equal((await t.call(who, 'GET', path)).status, 404);
      assert.equal((await t.call(who, 'DELETE', path)).status, 404);
    }
    assert.equal((await t.call(t.alice, 'DELETE', path)).status, 204);
    assert.equal((await t.call(t.alice, 'GET', path)).body.error.code, 'not-found');
  });

  it('says what is wrong with a key', async () => {
    await using t = await testControl();
    const key = generateHostKey().publicLine;
    const past = new Date(t.clock.now()).toISOString();
    for (const [body, status, says] of [
      [{ title: 'x', key: 'ssh-ed25519 AAAA' }, 400, /damaged/],
      [{ title: 'x', key: generateHostKey().privateKey }, 400, /private key/],
      [{ title: 'x', key, expiresAt: past }, 400, /is past/],
      [{ title: 'x', key, expiresAt: 'tomorrow' }, 400, /body\.expiresAt/],
      [{ title: ' ', key }, 400, /body\.title/],
      [{ key }, 400, /body\.title/],
      [{ title: 'x', key, expires_at: past }, 400, /expires_at/],
    ] as const) {
      const answer = await t.call(t.alice, 'POST', '/user/keys', body);
      assert.equal(answer.status, status, JSON.stringify(answer.body));
      assert.match(answer.body.error.message, says);
    }
    assert.equal((await t.call(t.alice, 'POST', '/user/keys', { title: 'x', key })).status, 201);
    const taken = await t.call(t.bob, 'POST', '/user/keys', { title: 'x', key });
    assert.equal(taken.status, 409);
    assert.doesNotMatch(taken.body.error.message, /alice/);
    assert.equal((await t.call(undefined, 'GET', '/user/keys')).status, 401);
  });
});
