// End to end: OpenSSH's client, `burrow ssh-proxy`, relay, agent, OpenSSH's server.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT } from '../../scripts/lib/project-node.mjs';
import { startBurrow, type Burrow } from '../harness/burrow.ts';
import { run, type Ran, type RunOptions } from '../harness/run.ts';
import { startSshd, type Sshd } from '../harness/sshd.ts';

const BURROW = `'${process.execPath}' '${join(ROOT, 'scripts/burrow.mjs')}'`;

let burrow: Burrow;
let sshd: Sshd;
let folder: string;

before(async () => {
  burrow = await startBurrow({ workspace: 'demo' });
  await burrow.startAgent('demo');
  sshd = await startSshd();
  folder = mkdtempSync(join(tmpdir(), 'burrow-ssh-'));
  writeFileSync(join(folder, 'known_hosts'), `demo.burrow ${sshd.hostKey}\n`);
});

after(async () => {
  await sshd[Symbol.asyncDispose]();
  await burrow.stop();
  rmSync(folder, { recursive: true, force: true });
});

function ssh(
  command: readonly string[],
  options: RunOptions & { readonly args?: readonly string[]; readonly host?: string } = {},
): Promise<Ran> {
  return run(
    'ssh',
    [
      ...['-F', 'none', '-i', sshd.identity, '-l', sshd.user],
      ...['-o', `UserKnownHostsFile=${join(folder, 'known_hosts')}`],
      ...['-o', 'StrictHostKeyChecking=yes', '-o', 'BatchMode=yes'],
      ...['-o', `ProxyCommand=${BURROW} ssh-proxy --tcp-port ${sshd.port} %h`],
      ...(options.args ?? []),
      options.host ?? 'demo.burrow',
      ...command,
    ],
    {
      ...options,
      env: { HOME: folder, BURROW_URL: burrow.url, BURROW_TOKEN: burrow.token, ...options.env },
    },
  );
}

test('a command runs, and its exit code comes back', { timeout: 30_000 }, async () => {
  const ran = await ssh(['echo hello; exit 7']);
  assert.deepEqual([ran.code, ran.stdout, ran.stderr], [7, 'hello\n', '']);
});

for (const transport of ['grpc', 'websocket']) {
  test(
    `${transport}: bytes pass both ways unchanged, each way ending by itself`,
    { timeout: 60_000 },
    async () => {
      const sent = randomBytes(20_000_000);
      const ran = await ssh(['cat'], {
        input: sent,
        env: { BURROW_TRANSPORT: transport },
        withinMs: 50_000,
      });
      assert.equal(ran.stderr, '');
      assert.equal(ran.code, 0);
      const sum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
      assert.equal(sum(ran.bytes), sum(sent));
    },
  );
}

test(
  'standard input that ends reaches the program, whose answer still comes',
  { timeout: 30_000 },
  async () => {
    const file = join(folder, 'copied');
    const ran = await ssh([`cat >${file}; sleep 0.2; wc -c <${file}`], { input: 'half-close' });
    assert.equal(ran.stdout.trim(), '10');
    assert.equal(readFileSync(file, 'utf8'), 'half-close');
  },
);

test('what is wrong is said on the terminal before ssh gives up', { timeout: 60_000 }, async () => {
  const unknown = await ssh(['true'], { host: 'nosuch.burrow' });
  assert.equal(unknown.code, 255);
  assert.match(unknown.stderr, /^burrow: There is no workspace “nosuch”, or you may not open it/);
  const badToken = await ssh(['true'], {
    env: { BURROW_TOKEN: `burrow_pat_${'A'.repeat(43)}` },
  });
  assert.equal(badToken.code, 255);
  assert.match(
    badToken.stderr,
    /^burrow: The access token is malformed, unknown, expired or revoked/,
  );
  const nobody = await ssh(['true'], { env: { BURROW_URL: 'http://127.0.0.1:1' } });
  assert.match(nobody.stderr, /^burrow: The relay at 127\.0\.0\.1:1 cannot be reached/);
  const nameless = await ssh(['true'], { env: { BURROW_TOKEN: '' } });
  assert.match(nameless.stderr, /^burrow: You are not signed in\. Run `burrow login/);
});
