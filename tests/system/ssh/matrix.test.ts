// Everything that speaks SSH, by every way in, to both servers: OpenSSH's tools and what builds on them, unchanged.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type AddressInfo, type Server as TcpServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { endSsh } from '../../harness/end-ssh.ts';
import { eventually } from '../../harness/eventually.ts';
import type { Ran } from '../../harness/run.ts';
import { hostOf, SERVERS, startStand, WAYS, type Stand } from './support/stand.ts';

let stand: Stand;
let echo: TcpServer;
let echoPort: number;
let source: Buffer;

before(async () => {
  stand = await startStand();
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  echoPort = (echo.address() as AddressInfo).port;
  source = randomBytes(3_000_000);
  writeFileSync(join(stand.home, 'source'), source);
  makeTree(join(stand.home, 'tree'));
});

after(async () => {
  echo?.close();
  await stand?.[Symbol.asyncDispose]();
});

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function makeTree(tree: string): void {
  mkdirSync(join(tree, 'deep/er'), { recursive: true });
  for (let i = 0; i < 40; i++) writeFileSync(join(tree, 'deep/er', `${i}`), randomBytes(i * 100));
  writeFileSync(join(tree, 'name with ünïcode and blanks'), 'x', { mode: 0o640 });
  symlinkSync('deep', join(tree, 'link'));
}

/** Says a line to a port or a socket of this machine, and returns what comes back. */
async function ask(to: number | string): Promise<string> {
  const socket = typeof to === 'number' ? connect(to, '127.0.0.1') : connect(to);
  socket.on('error', () => {});
  socket.end('through the tunnel');
  let said = '';
  socket.setEncoding('utf8').on('data', (text: string) => (said += text));
  await new Promise((resolve) => socket.once('close', resolve));
  return said;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const NAMES = {
  gateway: 'the gateway',
  jump: 'jump host (end to end)',
  proxy: 'burrow ssh-proxy (end to end)',
  demo: 'the built-in server',
  real: 'a real sshd',
} as const;

describe('every tool', { concurrency: 3, timeout: 300_000 }, () => {
  for (const way of WAYS) {
    for (const server of SERVERS) {
      const host = hostOf(way, server);
      describe(`${NAMES[way]}, ${NAMES[server]}`, { concurrency: 1 }, () => {
        const fine = (ran: Ran): void => assert.deepEqual([ran.code, ran.stderr], [0, '']);

        // Each costs a process of ssh: all of them once, where both the gateway and our own server take part.
        const codes =
          server === 'demo' && way === 'gateway'
            ? Array.from({ length: 256 }, (_, i) => i)
            : [0, 1, 2, 63, 126, 127, 128, 129, 130, 137, 143, 254, 255];
        test(`exit codes (${codes.length} of them), and death by a signal`, async () => {
          await using master = await stand.master(host);
          // One program asks for all, one after the other, on one connection.
          const options = master.options.map((option) => `'${option}'`).join(' ');
          const loop = `for i in ${codes.join(' ')}; do ssh -n -F ${stand.config} ${options} ${host} "exit $i"; echo $?; done`;
          const ran = await stand.tool('sh', ['-c', loop], { withinMs: 180_000 });
          fine(ran);
          assert.deepEqual(ran.stdout.trim().split('\n').map(Number), codes);
          // ssh ends with 255 when a signal ended the command; only its debug log says so.
          const killed = await stand.ssh(['-v', host, 'kill -TERM $$']);
          assert.equal(killed.code, 255);
          assert.match(killed.stderr, /rtype exit-signal/);
        });

        test('standard error apart, half-close, environment', async () => {
          const ran = await stand.ssh([host, 'cat; echo done >&2; exit 3'], {
            input: 'half-close',
          });
          assert.deepEqual([ran.code, ran.stdout, ran.stderr], [3, 'half-close', 'done\n']);
          const file = join(stand.home, `half-${host}`);
          fine(await stand.ssh([host, `cat >${file}`], { input: source }));
          assert.equal(sha(readFileSync(file)), sha(source));
          const sent = await stand.ssh(['-o', 'SetEnv=LC_TRY=value', host, 'echo $LC_TRY']);
          assert.equal(sent.stdout, 'value\n');
        });

        test('scp by both protocols, and sftp', async () => {
          const { home, config } = stand;
          for (const flag of ['-O', '-s']) {
            const [there, back] = [join(home, `there-${host}`), join(home, `back-${host}`)];
            const scp = (...args: string[]) =>
              stand.tool('scp', ['-q', '-p', flag, '-F', config, ...args]);
            fine(await scp(join(home, 'source'), `${host}:${there}`));
            fine(await scp(`${host}:${there}`, back));
            assert.equal(sha(readFileSync(back)), sha(source));
            const seconds = (file: string) => Math.floor(statSync(file).mtimeMs / 1000);
            assert.equal(seconds(back), seconds(join(home, 'source')));
          }
          const folder = join(home, `sftp-${host}`);
          const batch = [
            `mkdir ${folder}`,
            `put ${home}/source ${folder}/a`,
            `rename ${folder}/a ${folder}/b`,
            `ln -s b ${folder}/c`,
            `chmod 600 ${folder}/b`,
            `ls -l ${folder}`,
            `df ${folder}`,
            `get ${folder}/c ${folder}.got`,
            // The second half is there already.
            `!head -c 1000 ${folder}.got >${folder}.part`,
            `reget ${folder}/b ${folder}.part`,
            `put -r ${home}/tree ${folder}/`,
            `rm ${folder}/c`,
          ].join('\n');
          fine(await stand.tool('sftp', ['-q', '-F', config, '-b', '-', host], { input: batch }));
          assert.equal(sha(readFileSync(`${folder}.got`)), sha(source));
          assert.equal(sha(readFileSync(`${folder}.part`)), sha(source));
          assert.equal(statSync(join(folder, 'b')).mode & 0o777, 0o600);
          assert.equal(readdirSync(join(folder, 'tree/deep/er')).length, 40);
        });

        test('rsync and git: clone, push', async () => {
          const { home, config } = stand;
          const there = join(home, `rsync-${host}`);
          const rsync = (...args: string[]) =>
            stand.tool('rsync', ['-a', '-e', `ssh -F ${config}`, ...args]);
          fine(await rsync(`${home}/tree/`, `${host}:${there}`));
          assert.equal(readdirSync(join(there, 'deep/er')).length, 40);
          const again = await rsync(
            '-n',
            '-c',
            '--itemize-changes',
            `${host}:${there}/`,
            `${home}/tree`,
          );
          assert.deepEqual([again.stdout, again.stderr], ['', '']);

          const git = async (...args: string[]): Promise<void> =>
            fine(
              await stand.tool('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], {
                env: { GIT_SSH_COMMAND: `ssh -F ${config}`, GIT_CONFIG_NOSYSTEM: '1' },
              }),
            );
          const [repo, clone] = [`${there}.git`, `${there}-clone`];
          await git('-C', there, 'init', '-q', '-b', 'main');
          await git('-C', there, 'add', '.');
          await git('-C', there, 'commit', '-qm', 'all');
          await git('clone', '-q', '--bare', there, repo);
          await git('clone', '-q', `${host}:${repo}`, clone);
          assert.equal(readdirSync(join(clone, 'deep/er')).length, 40);
          await git('-C', clone, 'commit', '-q', '--allow-empty', '-m', 'more');
          await git('-C', clone, 'push', '-q');
        });

        test('-L, -R (ports and unix sockets), and -D', async () => {
          const [local, remote, socks] = [await freePort(), await freePort(), await freePort()];
          const [near, far] = [join(stand.home, `l-${host}`), join(stand.home, `r-${host}`)];
          const { child, said, exited } = stand.start('ssh', [
            ...['-F', stand.config, '-N', '-o', 'ExitOnForwardFailure=yes'],
            ...['-L', `${local}:127.0.0.1:${echoPort}`],
            ...['-R', `127.0.0.1:${remote}:127.0.0.1:${echoPort}`],
            ...['-R', `${far}:127.0.0.1:${echoPort}`, '-L', `${near}:127.0.0.1:${echoPort}`],
            ...['-D', `127.0.0.1:${socks}`, host],
          ]);
          try {
            for (const to of [local, remote, near, far]) {
              await eventually(`${to} answers; ${said.error}`, async () => {
                return (await ask(to)) === 'through the tunnel';
              });
            }
            const socket = connect(socks, '127.0.0.1');
            await once(socket, 'connect');
            // SOCKS 5 (RFC 1928): no authentication; CONNECT to 127.0.0.1.
            socket.write(Buffer.from([5, 1, 0]));
            await once(socket, 'data');
            socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, echoPort >> 8, echoPort & 255]));
            await once(socket, 'data');
            socket.write('by SOCKS');
            const [answer] = (await once(socket, 'data')) as [Buffer];
            assert.equal(answer.toString(), 'by SOCKS');
            socket.destroy();
          } finally {
            await endSsh(child, exited);
          }
          await eventually('nothing listens in the workload any more', async () => {
            return (await ask(remote)) === '';
          });
        });

        test('agent forwarding', async () => {
          const socket = join(stand.home, `agent-${host}`);
          const agent = stand.start('ssh-agent', ['-D', '-a', socket]);
          const env = { SSH_AUTH_SOCK: socket };
          await eventually('the agent has the key', async () => {
            return (await stand.tool('ssh-add', ['-q', stand.identity], { env })).code === 0;
          });
          const ran = await stand.ssh(['-A', host, 'ssh-add -l; echo $SSH_AUTH_SOCK'], { env });
          assert.match(ran.stdout, /SHA256:.*ED25519/, ran.stderr);
          assert.doesNotMatch(ran.stdout, new RegExp(`^${socket}$`, 'm'));
          const without = await stand.ssh([host, 'ssh-add -l'], { env });
          assert.equal(without.code, 2);
          agent.child.kill('SIGTERM');
          await agent.exited;
        });

        test('a killed client leaves no process behind', async () => {
          const mark = `31.${randomBytes(4).readUInt32BE()}`;
          const { child, exited } = stand.start('ssh', ['-F', stand.config, host, `sleep ${mark}`]);
          const sleeping = async (): Promise<boolean> =>
            (await stand.tool('pgrep', ['-fx', `sleep ${mark}`])).code === 0;
          await eventually('it runs', sleeping);
          child.kill('SIGKILL');
          await exited;
          if (server === 'real') {
            // OpenSSH's sshd ends what has no terminal only by its closed streams.
            await stand.tool('pkill', ['-fx', `sleep ${mark}`]);
          }
          await eventually('it is gone', async () => !(await sleeping()));
        });
      });
    }
  }
});

test('burrow ssh comes in with a key of its own, at both servers', async () => {
  for (const server of SERVERS) {
    const ran = await stand.cli(['ssh', server, 'cat; exit 5'], { input: 'in' });
    assert.deepEqual([ran.code, ran.stdout, ran.stderr], [5, 'in', '']);
  }
});

test('end to end to a real sshd, the key exchange is post-quantum: theirs alone', async () => {
  for (const way of ['jump', 'proxy'] as const) {
    const ran = await stand.ssh(['-v', hostOf(way, 'real'), 'true']);
    assert.match(ran.stderr, /kex: algorithm: (?:mlkem768|sntrup761)x25519/);
  }
});

test('afterwards nothing is open', () => stand.idle());
