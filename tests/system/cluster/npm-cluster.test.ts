// `npm run cluster`: one command, several relays with a real Redis and PostgreSQL behind one address.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Cluster } from '@burrow/api';
import { eventually } from '../../harness/eventually.ts';
import { npmCluster } from '../../harness/npm-start.ts';
import { run } from '../../harness/run.ts';
import { send } from '../../harness/send.ts';
import { processesIn } from '../../harness/processes.ts';

const ALONE = ['--port', '0', '--ssh-port', '0', '--no-workspace'];

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-cluster-'));
  // PostgreSQL runs as another user, who must pass through.
  chmodSync(folder, 0o711);
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('three relays share people and data; one may end; nothing is left at the end', async (t) => {
  const folder = folderFor(t);
  let user: string;
  let hostKey: string;
  {
    await using cluster = await npmCluster(folder, ALONE);
    const { ready } = cluster;
    assert.deepEqual(
      ready.relays.map(({ id }) => id),
      ['relay-1', 'relay-2', 'relay-3'],
    );
    hostKey = ready.ssh.hostKey;
    for (const relay of ready.relays) {
      assert.ok(alive(relay.pid));
      assert.equal((await fetch(`${relay.url}/readyz`)).status, 200);
      assert.equal(relay.ssh.hostKey, hostKey, 'one host key, whichever relay answers');
    }

    // The link signs in through the front, once, and every relay knows the session.
    const signIn = await send(new URL(ready.url));
    assert.equal(signIn.status, 303);
    assert.notEqual((await send(new URL(ready.url))).status, 303);
    const cookie = signIn.headers['set-cookie']![0]!.split(';')[0]!;
    for (let times = 0; times < 6; times += 1) {
      const answer = await fetch(`${ready.api}/workspaces`, { headers: { cookie } });
      assert.equal(answer.status, 200);
    }
    const authorization = `Bearer ${ready.token}`;
    const ask = (origin: string, path: string, init: AskOptions = {}): Promise<Response> =>
      fetch(`${origin}/api/v1${path}`, { ...init, headers: { authorization, ...init.headers } });
    const made = await ask(ready.relays[0]!.url, '/workspaces', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'shared', driver: 'external' }),
    });
    assert.equal(made.status, 201);
    user = ((await made.json()) as { owner?: { id: string } }).owner?.id ?? '';
    for (const relay of ready.relays) {
      assert.equal((await ask(relay.url, '/workspaces/shared')).status, 200);
    }

    // They have found each other.
    for (const relay of ready.relays) {
      await eventually(`${relay.id} knows all three`, async () => {
        const { relays } = (await (await ask(relay.url, '/cluster')).json()) as Cluster;
        const ids = relays.filter(({ stats }) => stats !== null).map(({ id }) => id);
        return ids.sort().join() === 'relay-1,relay-2,relay-3';
      });
    }

    // SSH as well, straight to a relay and through the front, by the address of whoever comes.
    for (const { port } of [ready.ssh, ready.relays[0]!.ssh]) {
      const scan = await run('ssh-keyscan', ['-t', 'ed25519', '-p', String(port), '127.0.0.1']);
      assert.ok(scan.stdout.includes(hostKey.split(' ')[1]!), scan.stderr);
    }

    // One relay is killed: whoever comes anew does not notice, and it comes again.
    process.kill(ready.relays[1]!.pid, 'SIGKILL');
    await eventually('it is said', () => /relay-2 .*SIGKILL/.test(cluster.output));
    const origin = new URL(ready.api).origin;
    for (let times = 0; times < 12; times += 1) {
      const answer = await ask(origin, '/workspaces/shared', { headers: { connection: 'close' } });
      assert.equal(answer.status, 200);
    }

    await eventually('it runs again', () => cluster.output.includes('relay-2 runs again'), 60_000);
    const { relays: now } = JSON.parse(
      readFileSync(join(folder, 'ready.json'), 'utf8'),
    ) as typeof ready;
    assert.equal(now[1]!.url, ready.relays[1]!.url);
    assert.notEqual(now[1]!.pid, ready.relays[1]!.pid);
    assert.equal((await fetch(`${now[1]!.url}/readyz`)).status, 200);

    assert.equal(await cluster.stop(), 0);
    assert.match(cluster.output, /Stopped\.\n$/);
    for (const { pid } of [...now, ready.redis, ready.postgres]) assert.ok(!alive(pid));
    assert.deepEqual(processesIn(folder), []);
  }

  // Again on the same data: the same people, workspaces and keys; here with two relays.
  await using again = await npmCluster(folder, [...ALONE, '--relays', '2']);
  assert.equal(again.ready.relays.length, 2);
  assert.equal(again.ready.ssh.hostKey, hostKey);
  const shown = await fetch(`${again.ready.api}/workspaces/shared`, {
    headers: { authorization: `Bearer ${again.ready.token}` },
  });
  assert.equal(shown.status, 200);
  assert.equal(((await shown.json()) as { owner?: { id: string } }).owner?.id ?? '', user);

  // Killed without a chance to clean up: what it started ends by itself.
  const all = [...again.ready.relays, again.ready.redis, again.ready.postgres];
  process.kill(again.pid, 'SIGKILL');
  await eventually('all have ended', () => all.every(({ pid }) => !alive(pid)), 20_000);
  await eventually('nothing is left', () => processesIn(folder).length === 0, 20_000);
});

test('a port that is taken is told, with its owner', async (t) => {
  const folder = folderFor(t);
  await using cluster = await npmCluster(folder, [...ALONE, '--relays', '1']);
  const { port } = new URL(cluster.ready.api);
  await assert.rejects(
    npmCluster(join(folder, 'other'), ['--port', port, '--ssh-port', '0', '--no-workspace']),
    new RegExp(`Port ${port} is taken by process \\d+.*npm run cluster -- --port`),
  );
});
