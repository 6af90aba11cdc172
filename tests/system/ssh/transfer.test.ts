// Large copies, with a checksum, each way. `npm run test:long` copies 2 GB, npm test 64 MB.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hostOf, SERVERS, startStand, WAYS, type Stand } from './support/stand.ts';

const LONG = process.env['BURROW_TEST_LONG'] === '1';
const BYTES = LONG ? 2 * 1024 ** 3 : 64 * 1024 ** 2;
/** For one copy: a fiftieth of what a quiet machine does. */
const WITHIN_MS = LONG ? 600_000 : 60_000;
/** A process may have held so much at its most, however large the file; 2 GB would not fit. */
const MEMORY_MB = 400;

let stand: Stand;
let file: string;
let sum: string;

before(async () => {
  stand = await startStand();
  file = join(stand.home, 'large');
  // Bytes that repeat nowhere, as fast as a disk takes them.
  const made = await shell(
    `head -c ${BYTES} /dev/zero | openssl enc -aes-128-ctr -nosalt -K 000102030405060708090a0b0c0d0e0f -iv 00000000000000000000000000000000 >${file} && sha256sum <${file}`,
  );
  sum = made.stdout.split(' ')[0] ?? '';
  assert.equal(statSync(file).size, BYTES, made.stderr);
});

after(() => stand?.[Symbol.asyncDispose]());

const shell = (script: string) => stand.tool('sh', ['-c', script], { withinMs: WITHIN_MS });

/** A jump passes the same bytes as `burrow ssh-proxy`, over the gateway's own connection: only in the long form. */
const ways = LONG ? WAYS : WAYS.filter((way) => way !== 'jump');

for (const way of ways) {
  for (const server of SERVERS) {
    const host = hostOf(way, server);
    test(`${BYTES / 1024 ** 2} MiB each way: ${host}`, { timeout: 2 * WITHIN_MS }, async (t) => {
      const speed = async (script: string, what: string): Promise<void> => {
        const since = performance.now();
        const { stdout, stderr } = await shell(script);
        assert.equal(stdout.split(' ')[0], sum, stderr);
        const mbPerSecond = BYTES / 1e3 / (performance.now() - since);
        t.diagnostic(`${host}, ${what}: ${Math.round(mbPerSecond)} MB/s`);
      };
      await speed(`ssh -F ${stand.config} ${host} sha256sum <${file}`, 'up');
      await speed(`ssh -F ${stand.config} ${host} 'cat ${file}' | sha256sum`, 'down');
    });
  }
}

test('memory stayed flat', (t) => {
  for (const [name, agent] of Object.entries(stand.agents)) {
    const status = readFileSync(`/proc/${agent.pid}/status`, 'utf8');
    const most = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
    t.diagnostic(`the agent of ${name} held at most ${Math.round(most)} MiB`);
    assert.ok(most < MEMORY_MB, `${most} MiB`);
  }
});

test('afterwards nothing is open', () => stand.idle());
