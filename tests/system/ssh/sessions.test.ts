// Many sessions at once, and sessions that end because somebody's access does.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../../harness/eventually.ts';
import { processesIn } from '../../harness/processes.ts';
import { run } from '../../harness/run.ts';
import { within } from '../../harness/within.ts';
import {
  addKey,
  hostOf,
  metric,
  SERVERS,
  startStand,
  type Stand,
  type Started,
} from './support/stand.ts';

let stand: Stand;

before(async () => {
  stand = await startStand();
});

after(() => stand?.[Symbol.asyncDispose]());

/** Tells our processes from others'. */
const MARK = `1234.${process.pid}`;

const files = (): number => readdirSync('/proc/self/fd').length;

/** Many at a time as the machine has to start their programs; all stay open until the last has answered. */
const AT_ONCE = 10;

/** Each says its number, and has it echoed from the workload; then all end. */
async function together(count: number, open: (index: number) => Started): Promise<void> {
  const all: Started[] = [];
  for (let at = 0; at < count; at += AT_ONCE) {
    const some = Array.from({ length: AT_ONCE }, (_, i) => {
      const started = open(at + i);
      started.child.stdin?.write(`${at + i}\n`);
      return started;
    });
    for (const [i, { said }] of some.entries()) {
      await eventually(
        `number ${at + i} answers: ${JSON.stringify(said)}`,
        () => said.out === `${at + i}\n`,
        30_000,
      );
    }
    all.push(...some);
  }
  for (const [i, { child, exited, said }] of all.entries()) {
    child.stdin?.end();
    const code = await within(
      exited,
      () => `number ${i} ends: ${child.exitCode}, ${JSON.stringify(said)}`,
    );
    assert.deepEqual([code, said.out], [i % 7, `${i}\n`], said.error);
  }
}

describe('a hundred at once, on one connection', { concurrency: 2, timeout: 240_000 }, () => {
  // On one connection a jump differs from `burrow ssh-proxy` in nothing but how it was made.
  for (const way of ['gateway', 'proxy'] as const) {
    for (const server of SERVERS) {
      const host = hostOf(way, server);
      test(`sessions on one connection: ${host}`, async () => {
        await using master = await stand.master(host);
        await together(100, (i) =>
          stand.start('ssh', ['-F', stand.config, ...master.options, host, `cat; exit ${i % 7}`]),
        );
      });
    }
  }
});

describe('a hundred at once', { timeout: 240_000 }, () => {
  // By `burrow ssh-proxy`: tests/system/ssh-network.test.ts. With a real sshd each connection costs
  // three of its processes; that it takes a hundred is no work of ours.
  for (const way of ['gateway', 'jump'] as const) {
    const host = hostOf(way, 'demo');
    test(`connections: ${host}`, async () => {
      await stand.idle();
      const before = files();
      await together(100, (i) =>
        stand.start('ssh', ['-F', stand.config, host, `cat; exit ${i % 7}`]),
      );
      await stand.idle();
      await eventually('files are closed', () => files() <= before + 8);
    });
  }
});

describe('access that is taken away', { timeout: 60_000 }, () => {
  /** A session that prints a line and waits, with a key of its own. */
  async function waiting(host: string, ...options: readonly string[]): Promise<Started> {
    const started = stand.start('ssh', ['-F', stand.config, ...options, host, endless(host)]);
    await eventually(`${host}: in`, () => {
      assert.equal(started.child.exitCode, null, started.said.error);
      return started.said.out === 'in\n';
    });
    return started;
  }

  /** OpenSSH's sshd leaves alone what has no terminal and reads nothing; ours hangs up on it. */
  function endless(host: string): string {
    return host.endsWith('real') ? 'echo in; cat' : `echo in; sleep ${MARK}`;
  }

  async function cutWithin(started: Started, since: number, why: RegExp): Promise<void> {
    assert.equal(await started.exited, 255);
    const took = performance.now() - since;
    // A second, and what a process needs to end on a busy machine.
    assert.ok(took < 1_500, `${took} ms`);
    assert.match(started.said.error, why);
  }

  test('a key that is removed: at the gateway, and through a jump', async () => {
    const file = join(stand.home, 'lent');
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file]);
    const id = await addKey(stand.burrow, `${file}.pub`);
    const config = join(stand.home, 'lent.config');
    await run('sh', [
      '-c',
      `sed 's#IdentityFile .*#IdentityFile ${file}#' ${stand.config} >${config}`,
    ]);
    const sessions = await Promise.all([
      waiting(hostOf('gateway', 'demo'), '-F', config),
      waiting(hostOf('gateway', 'real'), '-F', config),
      waiting(hostOf('jump', 'demo'), '-F', config),
    ]);
    const since = performance.now();
    const gone = await stand.burrow.send(`/api/v1/user/keys/${id}`, { method: 'DELETE' });
    assert.equal(gone.status, 204);
    for (const session of sessions) {
      await cutWithin(session, since, /Access was taken away: the key that you signed in with/);
    }
    await stand.audited('that it was cut', (event) => event.action === 'ssh.session-cut');
    assert.equal((await stand.ssh(['-F', config, hostOf('gateway', 'demo'), 'true'])).code, 255);
  });

  test('a token that is revoked: end to end', async () => {
    const { id, token } = (
      await stand.burrow.send('/api/v1/user/tokens', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'lent' }),
      })
    ).json<{ id: string; token: string }>();
    const sessions: Started[] = [];
    for (const server of SERVERS) {
      const host = hostOf('proxy', server);
      const started = stand.start('ssh', ['-F', stand.config, host, endless(host)], {
        BURROW_TOKEN: token,
      });
      await eventually('in', () => started.said.out === 'in\n');
      sessions.push(started);
    }
    const since = performance.now();
    const gone = await stand.burrow.send(`/api/v1/user/tokens/${id}`, { method: 'DELETE' });
    assert.equal(gone.status, 204);
    for (const session of sessions) {
      await cutWithin(session, since, /burrow: Your access token was revoked or has expired/);
    }
  });

  test('a workspace that is terminated: by every way', async () => {
    await stand.burrow.createWorkspace('brief');
    await using _agent = await stand.burrow.startAgent('brief', { HOME: stand.home });
    const elsewhere = [
      ...['-o', 'HostName=brief.burrow', '-o', 'StrictHostKeyChecking=no'],
      ...['-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR'],
    ];
    const sessions = {
      gateway: await waiting(hostOf('gateway', 'demo'), '-l', 'brief'),
      jump: await waiting(hostOf('jump', 'demo'), ...elsewhere),
      proxy: await waiting(hostOf('proxy', 'demo'), ...elsewhere),
    };
    const since = performance.now();
    await stand.burrow.send('/api/v1/workspaces/brief', { method: 'DELETE' });
    await cutWithin(sessions.gateway, since, /brief/);
    await cutWithin(sessions.proxy, since, /burrow: /);
    // The jump's own connection stays; the workload's SSH is what is gone.
    await cutWithin(sessions.jump, since, /closed|Broken pipe/i);
  });
});

test('afterwards nothing is open, and nothing runs in the workload', async () => {
  await stand.idle();
  // One each for two hundred connections, and for what the masters shared.
  assert.ok((await metric(stand.burrow, 'burrow_channels_opened_total')) > 200);
  await eventually('no process', async () => {
    const { stdout } = await stand.tool('pgrep', ['-fx', `sleep ${MARK}`]);
    if (stdout !== '') throw new Error(stdout);
    return true;
  });
  const own = [stand.agents.demo?.pid, stand.agents.real?.pid, stand.sshd?.pid];
  await eventually('only agents and sshd are left', () => {
    const left = processesIn(stand.home).filter((pid) => !own.includes(pid));
    if (left.length > 0) throw new Error(`${left.join(' ')}`);
    return true;
  });
});
