// The network between agent and relay fails for 5 s in the middle of a copy: what docs/ssh.md says happens today.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
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

const SENTENCES = {
  gateway: /The connection to demo was lost: its agent is gone\. Connect again once it is back\./,
  jump: /closed by|Broken pipe/,
  proxy: /^burrow: A link on the way was lost/m,
} as const;

test(
  'connections that are reset: SSH ends at once and says why; afterwards it works again',
  { timeout: 60_000 },
  async (t) => {
    const { it, line } = await stand(t);
    const mark = `0.05${process.pid}`;
    const all = await copies(
      it,
      `while sleep ${mark}; do head -c 2000 /dev/zero | tr '\\0' x; done`,
    );
    const since = performance.now();
    line.cut();
    for (const [way, { exited, said }] of all) {
      assert.equal(await exited, 255);
      assert.match(said.error, SENTENCES[way]);
      t.diagnostic(
        `${way}: ended after ${Math.round(performance.now() - since)} ms: ${said.error.trim()}`,
      );
    }
    assert.ok(performance.now() - since < 2_000);
    await eventually('nothing of it runs in the workload', async () => {
      return (await it.tool('pgrep', ['-fx', `sleep ${mark}`])).stdout === '';
    });
    await sleep(Math.max(0, CUT_MS - (performance.now() - since)));
    line.mend();
    const mended = performance.now();
    // While its agent is away, who connects waits for it (gateway.agentWaitMs).
    const ran = await it.ssh([hostOf('gateway', 'demo'), 'echo back']);
    assert.equal(ran.stdout, 'back\n', ran.stderr);
    t.diagnostic(`works again ${Math.round(performance.now() - mended)} ms after the network does`);
    await it.idle();
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
