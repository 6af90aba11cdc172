import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { generateHostKey } from '@burrow/ssh';
import { createAudit } from '../../audit/audit.ts';
import { openTestDatabase } from '../../db/testing.ts';
import { testControl } from '../testing.ts';

describe('GET /audit-events', () => {
  it('shows an administrator what was done through the API, and from where', async () => {
    const database = await openTestDatabase();
    const audit = createAudit({ db: database.kysely, logger: { warn: () => {} } });
    try {
      await using t = await testControl({ database, audit });
      await t.call(t.alice, 'POST', '/workspaces', { name: 'web', driver: 'external' });
      await t.call(t.alice, 'POST', '/workspaces/web/agent-token');
      await t.call(t.root, 'DELETE', '/workspaces/web');
      const token = await t.call(t.bob, 'POST', '/user/tokens', { name: 'ci' });
      await t.call(t.bob, 'DELETE', `/user/tokens/${token.body.id}`);
      const { publicLine, fingerprint } = generateHostKey();
      const key = await t.call(t.bob, 'POST', '/user/keys', { title: 'k', key: publicLine });
      await t.call(t.bob, 'DELETE', `/user/keys/${key.body.id}`);
      // What was refused is no event.
      await t.call(t.bob, 'DELETE', '/user/tokens/none');
      await audit.flush();

      const { status, body } = await t.call(t.root, 'GET', '/audit-events');
      assert.equal(status, 200);
      assert.deepEqual(
        body.events
          .toReversed()
          .map((event: Record<string, string>) => [
            event['action'],
            event['username'],
            event['workspace'],
            event['detail'],
          ]),
        [
          ['workspace.created', 'alice', 'web', 'driver external'],
          ['workspace.agent-token-replaced', 'alice', 'web', ''],
          ['workspace.terminated', 'root', 'web', ''],
          ['token.created', 'bob', null, `${token.body.id} "ci"`],
          ['token.revoked', 'bob', null, token.body.id],
          ['key.added', 'bob', null, `${fingerprint} "k"`],
          ['key.removed', 'bob', null, `${fingerprint} "k"`],
        ],
      );
      for (const event of body.events) {
        assert.equal(event.outcome, 'ok');
        assert.equal(event.address, '127.0.0.1');
      }
      assert.ok(!JSON.stringify(body).includes(token.body.token));

      const page = await t.call(t.root, 'GET', '/audit-events?user=bob&limit=3');
      assert.equal(page.body.events.length, 3);
      const rest = await t.call(
        t.root,
        'GET',
        `/audit-events?user=bob&limit=3&cursor=${page.body.next}`,
      );
      assert.deepEqual([rest.body.events.length, rest.body.next], [1, null]);
    } finally {
      await audit.stop();
      await database.close();
    }
  });

  it('is for administrators, and refuses what it does not know', async () => {
    await using t = await testControl();
    assert.equal((await t.call(t.alice, 'GET', '/audit-events')).status, 403);
    assert.equal((await t.call(undefined, 'GET', '/audit-events')).status, 401);
    for (const query of ['action=x', 'cursor=x', 'limit=0', 'limit=201', 'since=1']) {
      assert.equal((await t.call(t.root, 'GET', `/audit-events?${query}`)).status, 400, query);
    }
  });
});
