import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { openTestDatabase } from '../db/testing.ts';
import { beat, BEAT_EVERY_MS, GAP_MS } from './lease.ts';
import { testClock, testControl, type TestControl } from './testing.ts';

const HOUR = 3_600_000;

async function agentToken(t: TestControl): Promise<string> {
  const made = await t.call(t.alice, 'POST', '/workspaces', { name: 'web', driver: 'external' });
  return made.body.environment.BURROW_AGENT_TOKEN;
}

describe("an agent token's lease", () => {
  it('lasts 24 h without a link', async () => {
    await using t = await testControl();
    const token = await agentToken(t);
    const pass = async (ms: number) => {
      for (let left = ms; left > 0; left -= BEAT_EVERY_MS) {
        t.clock.advance(Math.min(left, BEAT_EVERY_MS));
        await beat(t.database.kysely, t.clock);
      }
    };
    await beat(t.database.kysely, t.clock);
    // Only the last minute is lived through beat by beat.
    t.clock.advance(24 * HOUR - 60_000);
    await t.database.kysely.updateTable('relay_heartbeat').set({ at: t.clock.now() }).execute();
    await pass(59_999);
    await t.control.agents.authenticate(token);
    await pass(1);
    await assert.rejects(t.control.agents.authenticate(token), {
      code: 'token-expired',
      message: /no agent used it for 24 h\. Replace it/,
    });
  });

  it('starts anew with every renewal', async () => {
    await using t = await testControl();
    const token = await agentToken(t);
    await t.control.start();
    const { agentId } = await t.control.agents.authenticate(token);
    for (let hour = 0; hour < 50; hour += 1) {
      t.clock.advance(HOUR);
      await t.database.kysely.updateTable('relay_heartbeat').set({ at: t.clock.now() }).execute();
      await t.control.agents.renewLeases([agentId]);
    }
    await t.control.agents.authenticate(token);
  });

  it('does not run while no relay does', async () => {
    await using first = await testControl();
    const token = await agentToken(first);
    await first.control.start();
    first.clock.advance(20 * HOUR);
    await first.database.kysely
      .updateTable('relay_heartbeat')
      .set({ at: first.clock.now() })
      .execute();
    await first.control.stop();

    await using second = await testControl({
      database: first.database,
      startAt: first.clock.now() + 1_000 * HOUR,
    });
    await second.control.start();
    await second.control.agents.authenticate(token);
    const { lease_expires_at: expires } = await second.database.kysely
      .selectFrom('tunnel_agents')
      .select('lease_expires_at')
      .executeTakeFirstOrThrow();
    assert.equal(expires - second.clock.now(), 4 * HOUR);
  });

  it('survives a clock set forward, before the next beat notices', async () => {
    await using t = await testControl();
    const token = await agentToken(t);
    await t.control.start();
    t.clock.advance(365 * 24 * HOUR);
    await t.control.agents.authenticate(token);
  });

  it('is not prolonged by a clock set back', async () => {
    await using t = await testControl();
    await agentToken(t);
    await t.control.start();
    t.clock.advance(-365 * 24 * HOUR);
    await beat(t.database.kysely, t.clock);
    const { lease_expires_at: expires } = await t.database.kysely
      .selectFrom('tunnel_agents')
      .select('lease_expires_at')
      .executeTakeFirstOrThrow();
    assert.equal(expires - t.clock.now(), 24 * HOUR);
  });

  it('is renewed for thousands at once, and tells which agents are gone', async () => {
    await using t = await testControl();
    const token = await agentToken(t);
    const { agentId } = await t.control.agents.authenticate(token);
    const revoked: string[] = [];
    t.control.agents.onRevoked((id) => revoked.push(id));
    const gone = Array.from({ length: 1_200 }, (_, i) => `gone-${i}`);
    await t.control.agents.renewLeases([...gone.slice(0, 600), agentId, ...gone.slice(600)]);
    assert.deepEqual(revoked, gone);
  });

  it('loses only time that some relay lived through (any sequence of beats, stops and jumps)', async () => {
    const database = await openTestDatabase();
    const db = database.kysely;
    try {
      const step = fc.oneof(
        fc.record({ kind: fc.constant('beat' as const), ms: fc.integer({ min: 0, max: GAP_MS }) }),
        fc.record({
          kind: fc.constant('gap' as const),
          ms: fc.oneof(
            fc.integer({ min: GAP_MS + 1, max: 1_000 * HOUR }),
            fc.integer({ min: -1_000 * HOUR, max: -GAP_MS - 1 }),
          ),
        }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          const clock = testClock();
          await db.deleteFrom('workspaces').execute();
          await db.deleteFrom('relay_heartbeat').execute();
          await db.insertInto('workspaces').values(aWorkspace).execute();
          await db
            .insertInto('tunnel_agents')
            .values({ ...anAgent, lease_expires_at: clock.now() + 24 * HOUR })
            .execute();
          await beat(db, clock);
          let lived = 0;
          for (const { kind, ms } of steps) {
            clock.advance(ms);
            // Two relays beat at the same moment: the gap counts once.
            const gaps = await Promise.all([beat(db, clock), beat(db, clock)]);
            assert.equal(gaps[0] + gaps[1], kind === 'gap' ? ms : 0);
            if (kind === 'beat') lived += ms;
          }
          const row = await db
            .selectFrom('tunnel_agents')
            .select('lease_expires_at')
            .executeTakeFirstOrThrow();
          assert.equal(row.lease_expires_at - clock.now(), 24 * HOUR - lived);
        }),
        { numRuns: 60 },
      );
    } finally {
      await database.close();
    }
  });
});

const aWorkspace = {
  id: 'w',
  name: 'web',
  owner_id: 'u',
  driver: 'external',
  state: 'running',
  state_reason: null,
  editor_port: 1,
  created_at: 0,
  terminated_at: null,
} as const;

const anAgent = {
  id: 'a',
  workspace_id: 'w',
  token_hash: 'h',
  token_created_at: 0,
  connected_since: null,
  last_seen_at: null,
  created_at: 0,
} as const;
