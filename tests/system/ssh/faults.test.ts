// Whatever is wrong is a sentence in the terminal, and an event in the audit log; and the sentence tells strangers nothing.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../../harness/eventually.ts';
import { run, type Ran } from '../../harness/run.ts';
import { addKey, hostOf, startStand, WAYS, type Stand, type Way } from './support/stand.ts';

/** Shorter than by default, so that there is less to wait for; far more than a busy machine needs. */
const HANDSHAKE_MS = 6_000;

let stand: Stand;
/** Connected at the start, and silent. */
let silent: Promise<number>;
/** A key that is in no account. */
let stranger: string;

before(async () => {
  stand = await startStand({
    servers: ['demo'],
    config: { gateway: { agentWaitMs: 300 }, ssh: { handshakeTimeoutMs: HANDSHAKE_MS } },
  });
  silent = silenceOf(stand.port);
  stranger = join(stand.home, 'stranger');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', stranger]);
});

after(() => stand?.[Symbol.asyncDispose]());

/** How long a connection lives that sends its version and nothing more, ms. */
async function silenceOf(port: number): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {}).resume();
  socket.write('SSH-2.0-silent\r\n');
  const since = performance.now();
  await new Promise((resolve) => socket.once('close', resolve));
  return performance.now() - since;
}

const gateway = hostOf('gateway', 'demo');

/** To the gateway as `user`, with further options. */
const as = (user: string, ...options: readonly string[]): Promise<Ran> =>
  stand.ssh(['-l', user, ...options, gateway, 'true']);

/** By a password, which ssh asks a program for. */
async function withPassword(user: string, password: string, ...options: string[]): Promise<Ran> {
  const askpass = join(stand.home, 'askpass');
  await run('sh', [
    '-c',
    `printf '#!/bin/sh\\necho "$PASSWORD"\\n' >${askpass}; chmod +x ${askpass}`,
  ]);
  return stand.ssh(
    [
      ...['-l', user, '-o', 'BatchMode=no', '-o', 'PubkeyAuthentication=no'],
      ...['-o', 'PreferredAuthentications=password', ...options],
      ...['-o', 'NumberOfPasswordPrompts=1', gateway, 'echo in'],
    ],
    { env: { PASSWORD: password, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' } },
  );
}

/** ssh takes the first value of an option: before the one of `withPassword`. */
const TEN_TRIES = ['-o', 'NumberOfPasswordPrompts=10'];

const WRONG = `burrow_pat_${'A'.repeat(43)}`;

describe('at the gateway', { timeout: 60_000 }, () => {
  test('an unknown workspace', async () => {
    const ran = await as('nosuch');
    assert.equal(ran.code, 255);
    assert.match(ran.stderr, /There is no workspace "nosuch" that admin may open/);
    await stand.audited('refused for the workspace', (event) => {
      return event.action === 'ssh.sign-in-refused' && event.workspace === 'nosuch';
    });
  });

  test('a wrong token as password', async () => {
    const ran = await withPassword('demo', WRONG);
    assert.equal(ran.code, 255);
    assert.match(ran.stderr, /Burrow knows none of your keys\. Add one at http/);
    await stand.audited('refused for the token', (event) => {
      return event.action === 'ssh.sign-in-refused' && event.detail.startsWith('unknown token');
    });
    assert.equal((await withPassword('demo', stand.burrow.token)).stdout, 'in\n');
  });

  test('an unknown key', async () => {
    // The key of the configuration is offered after it: one known key among unknown ones is enough.
    assert.equal((await as('demo', '-i', stranger)).code, 0);
    // In batch mode ssh itself says it; a person is shown a link (tests/system/ssh-approval.test.ts).
    const alone = await strangerAlone('demo');
    assert.equal(alone.code, 255);
    assert.match(alone.stderr, /Permission denied \(publickey,keyboard-interactive,password\)/);
    await stand.audited('refused for the key', (event) => {
      return (
        event.action === 'ssh.sign-in-refused' && event.detail.startsWith('unknown key SHA256:')
      );
    });
  });

  test('an unknown key, user and workspace are told apart by nobody', async () => {
    const clean = (ran: Ran): string => ran.stderr.replaceAll(/\b(?:demo|nosuch|UPPER CASE)@/g, '');
    const users = ['demo', 'nosuch', 'UPPER CASE'];
    const byKey = await Promise.all(users.map((user) => strangerAlone(user)));
    assert.equal(new Set(byKey.map(clean)).size, 1, JSON.stringify(byKey.map(clean)));
    const byToken: Ran[] = [];
    for (const user of users) byToken.push(await withPassword(user, WRONG));
    assert.equal(new Set(byToken.map(clean)).size, 1, JSON.stringify(byToken.map(clean)));
  });
});

/** With a key that is in no account, and no other. */
function strangerAlone(user: string): Promise<Ran> {
  return run(
    'ssh',
    [
      ...['-F', 'none', '-i', stranger, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'],
      ...['-o', 'StrictHostKeyChecking=yes', '-o', `UserKnownHostsFile=${stand.home}/known_hosts`],
      ...['-o', 'HostKeyAlias=relay', '-p', String(stand.port), '-l', user, '127.0.0.1', 'true'],
    ],
    { env: { HOME: stand.home } },
  );
}

describe('in the workload', { concurrency: 3, timeout: 120_000 }, () => {
  test('an agent that is away, by every way', async () => {
    await stand.burrow.createWorkspace('away');
    const agent = await stand.burrow.startAgent('away', { HOME: stand.home });
    await agent.stop();
    for (const way of WAYS) {
      const ran = await stand.ssh(elsewhere(way, 'away'));
      assert.equal(ran.code, 255);
      assert.match(ran.stderr, SENTENCES.away[way]);
    }
    const failed = async () =>
      (await stand.audit()).filter((event) => {
        return event.outcome === 'failed' && event.workspace === 'away';
      });
    await eventually('an event for each', async () => (await failed()).length === WAYS.length);
  });

  for (const way of WAYS) {
    test(`no SSH inside, by ${way}`, async () => {
      const name = `off-${way}`;
      await stand.burrow.createWorkspace(name);
      await using _agent = await stand.burrow.startAgent(name, { BURROW_AGENT_SSH: 'off' });
      const ran = await stand.ssh(elsewhere(way, name));
      assert.equal(ran.code, 255);
      assert.match(ran.stderr, SENTENCES.off[way]);
      await stand.audited('that there is none', (event) => {
        return event.workspace === name && event.outcome === 'failed' && /SSH/.test(event.detail);
      });
    });
  }

  test('a terminated workspace is one that never was', async () => {
    await stand.burrow.createWorkspace('gone');
    await stand.burrow.send('/api/v1/workspaces/gone', { method: 'DELETE' });
    for (const way of ['gateway', 'proxy'] as const) {
      const ran = await stand.ssh(elsewhere(way, 'gone'));
      assert.match(ran.stderr, /There is no workspace ["“]gone["”]/);
    }
  });

  test('another SSH server than the agent reported is not spoken to', async () => {
    // An sshd of which the agent was told another host key.
    await using other = await startStand();
    const wrong = await run('ssh-keygen', ['-y', '-f', other.identity]);
    const file = join(other.home, 'wrong.pub');
    await run('sh', ['-c', `cat >${file}`], { input: wrong.stdout });
    await other.agents.real?.stop();
    await using _agent = await other.burrow.startAgent('real', {
      BURROW_AGENT_SSH: 'sshd',
      BURROW_AGENT_SSHD_PORT: String(other.sshd?.port),
      BURROW_AGENT_SSH_HOST_KEY_FILE: file,
    });
    const ran = await other.ssh([hostOf('gateway', 'real'), 'true']);
    assert.equal(ran.code, 255);
    assert.match(ran.stderr, /does not have the host key that its agent reported/);
    await other.audited('that it was another', (event) => {
      return event.outcome === 'failed' && /host key/.test(event.detail);
    });
  });
});

function elsewhere(way: Way, workspace: string): string[] {
  if (way === 'gateway') return ['-l', workspace, gateway, 'true'];
  return [
    ...['-o', `HostName=${workspace}.burrow`, '-o', 'StrictHostKeyChecking=no'],
    ...['-o', 'UserKnownHostsFile=/dev/null', hostOf(way, 'demo'), 'true'],
  ];
}

const SENTENCES = {
  away: {
    gateway: /The agent of away is not connected; it was last seen \d{4}-/,
    jump: /open failed: connect failed: The agent of away is not connected/,
    proxy: /^burrow: .*agent.*not connected/im,
  },
  off: {
    gateway: /The agent of off-gateway offers no SSH/,
    jump: /open failed: connect failed: The agent of off-jump offers no SSH/,
    proxy: /^burrow: .*SSH/m,
  },
};

describe('limits', { timeout: 60_000 }, () => {
  test('half-finished handshakes, more than one address may have, disturb nobody who is signed in', async () => {
    const busy = stand.start('ssh', ['-F', stand.config, gateway, 'cat']);
    busy.child.stdin?.write('one\n');
    await eventually('the session is up', () => busy.said.out === 'one\n');
    const sockets = Array.from({ length: 1_000 }, () => connect(stand.port, '127.0.0.1'));
    let refused = 0;
    for (const [index, socket] of sockets.entries()) {
      socket.on('error', () => {});
      socket.once('close', () => (refused += 1));
      // Some say nothing, some a version, some begin the exchange of keys and stop.
      if (index % 3 === 1) socket.write('SSH-2.0-half\r\n');
      if (index % 3 === 2)
        socket.write(Buffer.from('SSH-2.0-half\r\n\0\0\x04\0\x08\x14', 'latin1'));
    }
    await eventually('all beyond 300 are closed', () => refused >= 700);
    const since = performance.now();
    busy.child.stdin?.write('two\n');
    await eventually('the session goes on', () => busy.said.out === 'one\ntwo\n');
    assert.ok(performance.now() - since < 1_000);
    // HTTP too, and agents.
    assert.equal((await stand.burrow.send('/api/v1/user')).status, 200);
    for (const socket of sockets) socket.destroy();
    busy.child.stdin?.end();
    assert.equal(await busy.exited, 0);
    await eventually(
      'a new one is let in',
      async () => (await stand.ssh([gateway, 'true'])).code === 0,
    );
  });

  test('tries are limited by address; a valid key still works, and a token after the wait', async () => {
    let last = '';
    for (let i = 0; i < 12 && !last.includes('Too many'); i += 1) {
      last = (await withPassword('demo', WRONG)).stderr;
    }
    assert.match(last, /Too many failed sign-ins from your address\. Try again in \d+ s\./);
    await stand.audited('that it was turned away', (event) => {
      return event.action === 'ssh.sign-in-refused' && event.detail.startsWith('Too many');
    });
    assert.equal((await stand.ssh([gateway, 'echo in'])).stdout, 'in\n');
    // What is right looks the same as what is wrong as long as it lasts.
    assert.match((await withPassword('demo', stand.burrow.token)).stderr, /Too many failed/);
    // Another address of the same machine.
    const other = await withPassword('demo', stand.burrow.token, '-b', '127.0.0.2');
    assert.equal(other.stdout, 'in\n', other.stderr);
  });

  test('tries at one workspace are limited over all addresses; who was there before still works', async () => {
    const known = '127.0.0.2';
    for (const name of ['demo', 'nosuch']) {
      const strangers = Array.from({ length: 5 }, (_, i) =>
        withPassword(name, WRONG, '-b', `127.0.${name.length}.${i + 1}`, ...TEN_TRIES),
      );
      assert.ok((await Promise.all(strangers)).every((ran) => ran.code === 255));
    }
    const elsewhere = await Promise.all(
      ['demo', 'nosuch'].map((name) =>
        withPassword(name, stand.burrow.token, '-b', '127.0.0.3', ...TEN_TRIES),
      ),
    );
    for (const { stderr } of elsewhere) {
      assert.match(
        stderr,
        /to this workspace from many addresses\. Try again in \d s\. A key signs/,
      );
    }
    const token = await withPassword('demo', stand.burrow.token, '-b', known);
    assert.equal(token.stdout, 'in\n', token.stderr);
    assert.equal((await stand.ssh(['-b', '127.0.0.3', gateway, 'echo in'])).stdout, 'in\n');
    // Asks for no workspace.
    const home = await withPassword('burrow', stand.burrow.token, '-b', '127.0.0.4');
    assert.match(home.stderr, /This is the relay itself/);
  });
});

test('one key in two accounts is refused where it is added', async () => {
  await assert.rejects(addKey(stand.burrow, `${stand.identity}.pub`), /40[09]|422/);
});

test(
  'who stops in the middle of a handshake is cut after its time',
  { timeout: 40_000 },
  async () => {
    const lived = await silent;
    assert.ok(lived > HANDSHAKE_MS - 1_000 && lived < HANDSHAKE_MS + 5_000, `${lived} ms`);
  },
);

test('afterwards nothing is open', () => stand.idle());
