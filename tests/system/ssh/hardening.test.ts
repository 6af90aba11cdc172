// What a stranger sees: algorithms, and how long an answer takes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROOT } from '../../../scripts/lib/project-node.mjs';
import { run } from '../../harness/run.ts';
import { startStand, type Stand } from './support/stand.ts';

let stand: Stand;

before(async () => {
  stand = await startStand({ servers: ['demo'] });
});

after(() => stand?.[Symbol.asyncDispose]());

/** docs/security.md explains each, in the section “SSH”. */
const EXPLAINED = [/kex-strict-s-v00@openssh\.com/, /post-quantum/i];

describe('ssh-audit marks nothing as failing, and warns of nothing that is not explained', () => {
  async function audit(port: number): Promise<void> {
    const ran = await stand.tool('ssh-audit', ['-n', '-b', '-p', String(port), '127.0.0.1']);
    assert.match(ran.stdout, /^\(kex\) curve25519-sha256/m, ran.stdout);
    assert.doesNotMatch(ran.stdout, /\[fail\]/);
    // Strict key exchange: the answer to CVE-2023-48795.
    assert.match(ran.stdout, /kex-strict-s-v00@openssh\.com/);
    const warnings = ran.stdout.split('\n').filter((line) => line.includes('[warn]'));
    const unexplained = warnings.filter((line) => !EXPLAINED.some((known) => known.test(line)));
    assert.deepEqual(unexplained, []);
  }

  test('the gateway', () => audit(stand.port));

  test('the built-in server', async () => {
    // It listens on no port: each connection to this one is a proxy's.
    const lines = createServer((socket) => {
      const args = [join(ROOT, 'scripts/burrow.mjs'), 'ssh-proxy', 'demo'];
      const proxy = spawn(process.execPath, args, {
        env: { PATH: process.env['PATH'] ?? '', ...stand.env },
        stdio: ['pipe', 'pipe', 'ignore'],
      });
      socket.on('error', () => {}).pipe(proxy.stdin.on('error', () => {}));
      proxy.stdout.pipe(socket);
      socket.once('close', () => proxy.kill());
    });
    lines.listen(0, '127.0.0.1');
    await once(lines, 'listening');
    try {
      await audit((lines.address() as AddressInfo).port);
    } finally {
      lines.close();
      await once(lines, 'close');
    }
  });
});

test('how long a refusal takes tells nothing about what exists', { timeout: 60_000 }, async () => {
  const key = join(stand.home, 'stranger');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key]);
  const took = async (user: string): Promise<number> => {
    const since = performance.now();
    const ran = await stand.tool('ssh', [
      ...['-F', 'none', '-i', key, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'],
      ...['-o', 'HostKeyAlias=relay', '-o', `UserKnownHostsFile=${stand.home}/known_hosts`],
      ...['-p', String(stand.port), '-l', user, '127.0.0.1', 'true'],
    ]);
    assert.equal(ran.code, 255);
    assert.match(ran.stderr, /Permission denied/);
    return performance.now() - since;
  };
  const users = ['demo', 'nosuch', 'burrow'];
  await Promise.all(users.map(took));
  const times = new Map<string, number[]>(users.map((user) => [user, []]));
  // By turns, so that what else the machine does hits all alike.
  for (let i = 0; i < 20; i += 1) {
    for (const user of users) times.get(user)?.push(await took(user));
  }
  const medians = [...times.values()].map((all) => all.sort((a, b) => a - b)[10] ?? 0);
  const [least, most] = [Math.min(...medians), Math.max(...medians)];
  // A look into the database more would be some ms; a wait for an agent, seconds.
  assert.ok(most < least * 1.5 + 20, `medians: ${medians.map(Math.round).join(', ')} ms`);
});

test('afterwards nothing is open', () => stand.idle());
