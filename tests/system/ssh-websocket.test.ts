// SSH in a plain WebSocket: Python's `websockets` as ProxyCommand of the real ssh, and what is refused.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { startBurrow, type Burrow } from '../harness/burrow.ts';
import { eventually } from '../harness/eventually.ts';
import { startFakeWorkload, type FakeWorkload } from '../harness/fake-workload.ts';
import { run, type Ran, type RunOptions } from '../harness/run.ts';

/** Debian's own, for which python3-websockets is packaged. */
const PYTHON = '/usr/bin/python3';
const PROXY = join(import.meta.dirname, 'websocket-proxy.py');

let burrow: Burrow;
let workload: FakeWorkload;
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'burrow-ws-'));
  burrow = await startBurrow({ config: { gateway: { agentWaitMs: 500 } } });
  const { environment } = await burrow.createWorkspace('demo');
  assert.ok(environment);
  workload = await startFakeWorkload(burrow.url, environment.BURROW_AGENT_TOKEN);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'id')]);
  writeFileSync(join(folder, 'known_hosts'), `demo ${workload.hostKey}\n`);
});

after(async () => {
  await workload[Symbol.asyncDispose]();
  await burrow.stop();
  rmSync(folder, { recursive: true, force: true });
});

function fingerprint(): string {
  const blob = readFileSync(join(folder, 'id.pub'), 'utf8').split(' ')[1] ?? '';
  const digest = createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}

function urlOf(workspace: string, key?: string): string {
  const query = key === undefined ? '' : `?key=${key}`;
  return `ws://127.0.0.1:${burrow.port}/api/v1/workspaces/${workspace}/ssh${query}`;
}

function ssh(command: string, options: RunOptions & { workspace?: string } = {}): Promise<Ran> {
  const { workspace = 'demo' } = options;
  return run(
    'ssh',
    [
      ...['-F', 'none', '-i', join(folder, 'id'), '-o', 'BatchMode=yes'],
      ...['-o', 'IdentitiesOnly=yes', '-o', 'StrictHostKeyChecking=yes'],
      ...['-o', `UserKnownHostsFile=${join(folder, 'known_hosts')}`],
      ...['-o', `ProxyCommand=${PYTHON} ${PROXY} '${urlOf(workspace, fingerprint())}'`],
      workspace,
      command,
    ],
    { ...options, env: { HOME: folder, BURROW_TOKEN: burrow.token, ...options.env } },
  );
}

test('ssh works through any WebSocket client', { timeout: 30_000 }, async () => {
  const ran = await ssh('echo hello; exit 3');
  assert.deepEqual([ran.code, ran.stdout, ran.stderr], [3, 'hello\n', '']);
});

test('bytes pass both ways unchanged', { timeout: 60_000 }, async () => {
  const sent = randomBytes(10_000_000);
  const ran = await ssh('cat', { input: sent, withinMs: 50_000 });
  assert.equal(ran.stderr, '');
  assert.ok(ran.bytes.equals(sent));
});

test(
  'a refusal is a close code with a sentence, which ssh’s user sees',
  { timeout: 30_000 },
  async () => {
    const unknown = await ssh('true', { workspace: 'nosuch' });
    assert.equal(unknown.code, 255);
    assert.match(unknown.stderr, /^4404 There is no workspace “nosuch”, or you may not open it/);
    const token = await ssh('true', { env: { BURROW_TOKEN: `burrow_pat_${'A'.repeat(43)}` } });
    assert.match(token.stderr, /^4401 The access token is malformed, unknown, expired or revoked/);
  },
);

/** Dials, and tells how it ended. */
async function ended(
  url: string,
  headers: Record<string, string>,
  then: (socket: WebSocket) => void = () => {},
): Promise<[code: number, reason: string]> {
  const socket = new WebSocket(url, { headers });
  socket.on('error', () => {});
  socket.on('open', () => then(socket));
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  return [code, reason.toString()];
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

test('a cookie signs nobody in here, text is refused, and an absent agent is told', async () => {
  const cookies = await burrow.sendAnonymously(await burrow.signInLink());
  const cookie = String(cookies.headers['set-cookie']).split(';', 1)[0] ?? '';
  assert.match(cookie, /burrow_session=/);
  assert.equal((await ended(urlOf('demo'), { cookie, origin: burrow.url }))[0], 4401);
  assert.equal((await ended(urlOf('demo', 'SHA256:short'), bearer(burrow.token)))[0], 4400);
  const text = await ended(urlOf('demo'), bearer(burrow.token), (socket) =>
    socket.send('SSH-2.0-x'),
  );
  assert.deepEqual(text, [1003, 'Send SSH in binary messages.']);
  await burrow.createWorkspace('empty');
  const [code, reason] = await ended(urlOf('empty'), bearer(burrow.token));
  assert.equal(code, 4503);
  assert.match(reason, /“empty”/);
});

test('a token that is revoked ends what it opened within a second', async () => {
  const { userId } = await burrow.relay.auth.users.ensureLocalAdmin();
  const made = await burrow.relay.auth.tokens.create(userId, 'short-lived');
  const heard: string[] = [];
  const socket = new WebSocket(urlOf('demo'), { headers: bearer(made.token) });
  socket.on('message', (data: Buffer) => heard.push(data.toString('latin1')));
  await eventually('the server greets', () => heard.join('').startsWith('SSH-2.0-'));
  const since = performance.now();
  await burrow.relay.auth.tokens.revoke(made.id);
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  assert.ok(performance.now() - since < 1_000);
  assert.equal(code, 4401);
  assert.match(reason.toString(), /revoked or has expired/);
});
