// The clock of one relay jumps by 10 minutes while it serves; see “Clocks” in docs/reliability.md.
import assert from 'node:assert/strict';
import { globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { startCluster } from '../harness/cluster.ts';
import { eventually } from '../harness/eventually.ts';
import { send } from '../harness/send.ts';
import { startApp } from './support/app.ts';
import { events } from './support/streams.ts';

const LONG = process.env['BURROW_TEST_LONG'] === '1';
const JUMP_S = 600;
const LIBRARY = '/usr/lib/*/faketime/libfaketime.so.1';
/** Relays tell one another of revocations about four times a second. */
const REVOKED_MS = 10_000;

test('a clock that jumps by 10 minutes', { timeout: 180_000 }, async (t) => {
  const [library] = globSync(LIBRARY);
  assert.ok(library, `faketime is not installed (looked for ${LIBRARY}).`);
  const cluster = await startCluster(['edge'], { BURROW_RELAY_DRAIN__GRACE_MS: '500' });
  t.after(() => cluster[Symbol.asyncDispose]());
  const clock = join(cluster.folder, 'clock');
  const setClock = (seconds: number): void => writeFileSync(clock, `+${seconds}\n`);
  setClock(0);
  await cluster.start('home', {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_CACHE_DURATION: '1',
    // As on a machine whose clock is set: only the time of day jumps.
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  });
  const app = await startApp();
  t.after(() => app[Symbol.asyncDispose]());
  const toHome = await cluster.line(cluster.relay('home'));
  const toEdge = await cluster.line(cluster.relay('edge'));
  await cluster.agent('demo', toHome);
  await cluster.agent('other', toEdge);
  const clockOf = async (id: string): Promise<number> => {
    const answer = await send(new URL(`http://127.0.0.1:${cluster.relay(id).port}/healthz`));
    return Date.parse(String(answer.headers['date']));
  };
  const ask = (id: string, workspace: string, token = cluster.token) =>
    send(new URL(`http://127.0.0.1:${cluster.relay(id).port}/events?count=1`), {
      headers: {
        host: `${app.port}-${workspace}.localhost`,
        'burrow-authorization': `Bearer ${token}`,
      },
    });
  const reaches = (id: string, workspace: string): Promise<boolean> =>
    eventually(`${id} reaches ${workspace}`, async () => {
      return (await ask(id, workspace)).status === 200;
    });
  await reaches('edge', 'demo');

  await t.test('what is under way goes on', async () => {
    const { host, token } = { host: `${app.port}-demo.localhost`, token: cluster.token };
    const stream = events({ port: cluster.relay('edge').port, host, token }, 200);
    await stream.begun;
    setClock(JUMP_S);
    const { whole, units, said, stallMs } = await stream.outcome;
    assert.ok(whole, `${units}: ${said}`);
    t.diagnostic(`stalled ${stallMs} ms`);
    await eventually('the clock has jumped', async () => {
      return (await clockOf('home')) - (await clockOf('edge')) > (JUMP_S - 60) * 1000;
    });
  });

  await t.test('links of relays are made anew, both ways', async () => {
    await reaches('home', 'other');
    cluster.kill('edge');
    await cluster.relay('edge').ended;
    toEdge.to = await cluster.start('edge');
    await reaches('edge', 'demo');
    await reaches('home', 'other');
  });

  await t.test('both relays keep their leases', async () => {
    // Two beats of each, 10 s apart: each takes the other’s clock for a jump. In the short form, perhaps none.
    if (LONG) await sleep(21_000);
    for (const id of ['home', 'edge']) {
      const { relays } = await cluster.api(id).cluster();
      const living = relays.filter(({ stats }) => stats !== null).map((each) => each.id);
      assert.deepEqual(living.sort(), ['edge', 'home']);
    }
    assert.equal((await ask('edge', 'demo')).status, 200);
    assert.equal((await ask('home', 'other')).status, 200);
  });

  await t.test('what one relay revokes the other refuses', async () => {
    for (const [at, on] of [
      ['home', 'edge'],
      ['edge', 'home'],
    ] as const) {
      const token = await cluster.api(at).user.createToken({ name: `of ${at}` });
      const works = async (): Promise<boolean> =>
        (await ask(on, 'demo', token.token)).status === 200;
      await eventually('the token works', works);
      await cluster.api(at).user.revokeToken(token.id);
      await eventually('the token is refused', async () => !(await works()), REVOKED_MS);
    }
  });

  await t.test('an agent’s replaced token ends its links at the other relay', async () => {
    await cluster.api('edge').workspaces.rotateAgentToken('demo');
    await cluster.api('home').workspaces.rotateAgentToken('other');
    for (const id of ['edge', 'home']) {
      await eventually(
        `no agent at ${id}`,
        async () => {
          const { relays } = await cluster.api(id).cluster();
          return relays.find(({ self }) => self)?.stats?.links === 0;
        },
        REVOKED_MS,
      );
    }
  });
});
