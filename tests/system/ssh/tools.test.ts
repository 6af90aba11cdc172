// What builds on SSH in ways of its own: mosh, Ansible, VS Code's remote server, other clients than OpenSSH's.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { installEditor } from '../../../scripts/install-editor.mjs';
import { eventually } from '../../harness/eventually.ts';
import { run } from '../../harness/run.ts';
import { startStand, type Stand } from './support/stand.ts';
import { startTerminal } from './support/terminal.ts';

let stand: Stand;

before(async () => {
  stand = await startStand();
});

after(() => stand?.[Symbol.asyncDispose]());

describe('mosh', { timeout: 60_000 }, () => {
  for (const host of ['gateway-demo', 'proxy-demo', 'gateway-real']) {
    test(`${host}: begins through SSH, outlives that session, and goes on by UDP`, async () => {
      // By UDP the workload is reached because it is this machine; `remote`: as SSH_CONNECTION says.
      await using terminal = await startTerminal(
        stand,
        `LC_ALL=C.UTF-8 mosh --ssh='ssh -F ${stand.config}' --experimental-remote-ip=remote --bind-server=127.0.0.1 ${host} -- sh -c 'echo "up: $BURROW_WORKSPACE"; read line; echo "got $line"; read line'`,
      );
      await terminal.shows('what runs in the workload', /^up:/m);
      assert.equal((await stand.ssh([host, 'true'])).code, 0);
      await terminal.type('typed', 'Enter');
      await terminal.shows('the answer', /^got typed/m);
      await terminal.type('Enter');
      await terminal.shows('its end', /mosh is exiting/);
    });
  }
});

const PLAY = (home: string): string => `
- hosts: all
  gather_facts: false
  tasks:
    - ping:
    - command: pwd
      register: said
      failed_when: said.stdout == ''
    - copy: { src: "${home}/copied", dest: "${home}/to-{{ inventory_hostname }}", mode: '0640' }
    - shell: cat; exit 3
      args: { stdin: "through" }
      register: answer
      failed_when: answer.rc != 3 or answer.stdout != 'through'
    - fetch: { src: "${home}/to-{{ inventory_hostname }}", dest: "${home}/back-{{ inventory_hostname }}", flat: true }
`;

describe('Ansible', { timeout: 120_000 }, () => {
  for (const { how, hosts, settings } of [
    {
      how: 'with sftp',
      hosts: ['gateway-demo', 'proxy-demo'],
      settings: { ANSIBLE_PIPELINING: 'False', ANSIBLE_SSH_TRANSFER_METHOD: 'sftp' },
    },
    {
      how: 'with pipelining and scp',
      hosts: ['jump-demo', 'gateway-demo', 'gateway-real'],
      settings: { ANSIBLE_PIPELINING: 'True', ANSIBLE_SSH_TRANSFER_METHOD: 'scp' },
    },
  ]) {
    test(`a playbook ${how}, on connections that are shared`, async () => {
      const { home } = stand;
      writeFileSync(join(home, 'hosts'), hosts.map((host) => `${host}\n`).join(''));
      writeFileSync(join(home, 'play.yml'), PLAY(home));
      writeFileSync(join(home, 'copied'), `${how}\n`.repeat(10_000));
      const ran = await stand.tool(
        'ansible-playbook',
        ['-i', join(home, 'hosts'), join(home, 'play.yml')],
        {
          withinMs: 110_000,
          env: {
            ...settings,
            LC_ALL: 'C.UTF-8',
            ANSIBLE_NOCOLOR: '1',
            ANSIBLE_REMOTE_TEMP: join(home, 'ansible-remote'),
            ANSIBLE_PYTHON_INTERPRETER: 'python3',
            ANSIBLE_SSH_CONTROL_PATH_DIR: join(home, 'cp'),
            // The last of them is gone before the stand looks for what is open.
            ANSIBLE_SSH_ARGS: `-F ${stand.config} -o ControlMaster=auto -o ControlPersist=2s`,
          },
        },
      );
      assert.equal(ran.code, 0, ran.stdout + ran.stderr);
      for (const host of hosts) {
        assert.match(ran.stdout, new RegExp(`^${host} +: ok=5 .* failed=0`, 'm'));
        const back = readFileSync(join(home, `back-${host}`), 'utf8');
        assert.equal(back, `${how}\n`.repeat(10_000), host);
      }
    });
  }
});

// What Remote-SSH does: a script on the standard input of `bash` starts the server, says where it
// listens and ends with the session, the server stays; the editor comes by the SOCKS port of `ssh -D`.
describe('VS Code’s server, as Remote-SSH starts it', { timeout: 120_000 }, () => {
  for (const host of ['gateway-demo', 'proxy-demo']) {
    test(host, async () => {
      const data = join(stand.home, `vscode-${host}`);
      const server = join(await installEditor(), 'out/server-main.js');
      const script = `
mkdir -p '${data}' && cd '${data}' || exit 1
nohup '${process.execPath}' '${server}' --host=127.0.0.1 --port=0 --connection-token=abc --accept-server-license-terms \\
  --server-data-dir='${data}' --telemetry-level off >log 2>&1 </dev/null &
echo $! >pid
for i in $(seq 300); do
  port=$(sed -n 's/^Extension host agent listening on \\([0-9]*\\).*/\\1/p' log)
  [ -n "$port" ] && break
  sleep 0.1
done
printf 'marker: start\\nlisteningOn==%s==\\nmarker: end\\n' "$port"
`;
      const socksPort = await freePort();
      const { child, said, exited } = stand.start('ssh', [
        ...['-F', stand.config, '-T', '-D', `127.0.0.1:${socksPort}`, host, 'bash'],
      ]);
      // Its input stays open: it is how the editor holds the session.
      child.stdin?.write(script);
      const port = await eventually(
        'the server says where it listens',
        async () => /listeningOn==(\d+)==\nmarker: end/.exec(said.out)?.[1],
        40_000,
      );
      try {
        const socket = await throughSocks(socksPort, Number(port));
        assert.match(await textOf(socket, '/version'), /^[0-9a-f]{40}$/);
        child.stdin?.end();
        assert.equal(await exited, 0, said.error);
        const alive = await stand.ssh([host, `kill -0 $(cat '${data}/pid') && echo alive`]);
        assert.equal(alive.stdout, 'alive\n', 'the server outlives the session');
      } finally {
        await stand.ssh([host, `kill $(cat '${data}/pid')`]);
      }
    });
  }
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A connection to a port of the workload, by SOCKS5 without a password. */
async function throughSocks(socksPort: number, port: number): Promise<Socket> {
  const socket = connect(socksPort, '127.0.0.1');
  const next = (): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      socket.once('data', resolve).once('error', reject).once('close', reject);
    });
  socket.write(Buffer.from([5, 1, 0]));
  assert.deepEqual([...(await next())], [5, 0]);
  socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255]));
  assert.equal((await next())[1], 0, 'the workload’s port is reached');
  return socket;
}

/** The body of what HTTP/1.0 answers. */
async function textOf(socket: Socket, path: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n`);
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  return Buffer.concat(parts).toString().split('\r\n\r\n')[1] ?? '';
}

describe('clients other than OpenSSH', { timeout: 60_000 }, () => {
  test('PuTTY’s plink and pscp', async () => {
    const ppk = join(stand.home, 'identity.ppk');
    await run('puttygen', [stand.identity, '-O', 'private', '-o', ppk]);
    writeFileSync(join(stand.home, 'relay.pub'), `${stand.gatewayHostKey}\n`);
    const listed = (await run('ssh-keygen', ['-lf', join(stand.home, 'relay.pub')])).stdout;
    const options = [
      ...['-batch', '-P', String(stand.port), '-i', ppk],
      ...['-hostkey', listed.split(' ')[1] ?? ''],
    ];
    const ran = await stand.tool('plink', [...options, 'demo@127.0.0.1', 'cat; exit 7'], {
      input: 'x'.repeat(100_000),
    });
    assert.equal(ran.code, 7, ran.stderr);
    assert.equal(ran.stdout.length, 100_000);
    const to = join(stand.home, 'by-pscp');
    const copied = await stand.tool('pscp', [...options, ppk, `demo@127.0.0.1:${to}`]);
    assert.equal(copied.code, 0, copied.stderr);
    assert.equal(readFileSync(to, 'utf8'), readFileSync(ppk, 'utf8'));
  });

  test('Dropbear’s dbclient', async () => {
    const key = join(stand.home, 'identity.dropbear');
    await run('dropbearconvert', ['openssh', 'dropbear', stand.identity, key]);
    const ran = await stand.tool(
      'dbclient',
      ['-y', '-p', String(stand.port), '-i', key, 'demo@127.0.0.1', 'cat; exit 8'],
      { input: 'x'.repeat(100_000) },
    );
    assert.equal(ran.code, 8, ran.stderr);
    assert.equal(ran.stdout.length, 100_000);
  });
});

test('afterwards nothing is open', () => stand.idle());
