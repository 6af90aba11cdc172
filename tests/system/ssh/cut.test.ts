// The network between agent and relay fails for 5 s in the middle of a copy.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test, type TestContext } from 'node:test';
import { startCuttableLine, type CuttableLine } from '../../harness/cuttable-line.ts';
import { eventually } from '../../harness/eventually.ts';
import { hostOf, startStand, WAYS, type Stand, type Started, type Way } from './support/stand.ts';

const CUT_MS = 5_000;

async function stand(t: TestContext): Promise<{ it: Stand; line: CuttableLine }> {
  let port = 0;
  const line = await startCuttableLine(() => port);
  const it = await startStand({
    // What is beside the agent makes no difference to its links: one server stands for both.
    servers: ['demo'],
    agentUrl(relay) {
      port = relay;
      return `http://127.0.0.1:${line.port}`;
    },
  });
  t.after(async () => {
    await it[Symbol.asyncDispose]();
    await line[Symbol.asyncDispose]();
  });
  return { it, line };
}

/** Copies that are under way, by every way. */
async function copies(it: Stand, command: string): Promise<Map<Way, Started>> {
  const all = new Map<Way, Started>();
  for (const way of WAYS) {
    const started = it.start('ssh', ['-F', it.config, hostOf(way, 'demo'), command]);
    all.set(way, started);
    await eventually(`${way}: bytes come`, () => {
      assert.equal(started.child.exitCode, null, started.said.error);
      return started.said.out.length > 1_000;
    });
  }
  return all;
}

// They wait more than they work.
describe('a network that fails', { concurrency: 3 }, () => {
  test(
    'connections that are reset: SSH goes on once the agent is back, without a byte missing',
    { timeout: 60_000 },
    async (t) => {
      const { it, line } = await stand(t);
      const all = await copies(
        it,
        'for i in $(seq 100000 160000); do echo $i; [ $((i % 300)) != 0 ] || sleep 0.02; done; echo end',
      );
      line.cut();
      await sleep(CUT_MS);
      for (const [way, { child, said }] of all)
        assert.equal(child.exitCode, null, `${way}: ${said.error}`);
      line.mend();
      const mended = performance.now();
      const before = new Map([...all].map(([way, { said }]) => [way, said.out.length]));
      for (const [way, { said }] of all) {
        await eventually(`${way} goes on`, () => said.out.length > (before.get(way) ?? 0), 15_000);
        t.diagnostic(
          `${way}: goes on ${Math.round(performance.now() - mended)} ms after the network does`,
        );
      }
      const whole = `${Array.from({ length: 60_001 }, (_, i) => `${100_000 + i}\n`).join('')}end\n`;
      for (const [way, { exited, said }] of all) {
        assert.deepEqual([await exited, said.error], [0, ''], way);
        assert.ok(said.out === whole, `${way}: ${said.out.length} of ${whole.length} bytes`);
      }
      await it.idle();
    },
  );

  test(
    'an agent that is killed: SSH ends as soon as another has taken its place',
    { timeout: 60_000 },
    async (t) => {
      const { it } = await stand(t);
      const all = await copies(it, 'while sleep 0.05 && head -c 2000 /dev/zero; do :; done');
      it.agents.demo!.kill('SIGKILL');
      const again = await it.burrow.startAgent('demo', { HOME: it.home });
      t.after(() => again.stop());
      for (const [way, { exited, said }] of all) {
        assert.equal(await exited, 255, way);
        if (way === 'proxy') assert.match(said.error, /^burrow: .*started again since/m);
        else
          assert.match(said.error, /Received disconnect .* demo was lost: .*started again since/);
      }
    },
  );

  test(
    'packets that are lost: SSH waits, and goes on without a byte missing',
    { timeout: 60_000 },
    async (t) => {
      const { it, line } = await stand(t);
      const all = await copies(
        it,
        'for i in $(seq 100000 160000); do echo $i; done; sleep 1; echo end',
      );
      line.stall();
      await sleep(CUT_MS);
      line.flow();
      const whole = `${Array.from({ length: 60_001 }, (_, i) => `${100_000 + i}\n`).join('')}end\n`;
      for (const [way, { exited, said }] of all) {
        assert.deepEqual([await exited, said.error], [0, ''], way);
        assert.ok(said.out === whole, `${way}: ${said.out.length} of ${whole.length} bytes`);
      }
      await it.idle();
    },
  );
});
