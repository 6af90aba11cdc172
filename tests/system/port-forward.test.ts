// `burrow port-forward` as its users run it: real command line, relay and agent, and apps behind it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT } from '../../scripts/lib/project-node.mjs';
import { startCuttableLine } from '../harness/cuttable-line.ts';
import { startBurrow, type Burrow } from '../harness/burrow.ts';
import { eventually } from '../harness/eventually.ts';
import { startForward, type Forward } from '../harness/port-forward.ts';
import { run, type Ran } from '../harness/run.ts';

let burrow: Burrow;
let home: string;
const servers = new Set<Server>();
const sockets = new Set<Socket>();

before(async () => {
  burrow = await startBurrow({ workspace: 'demo' });
  home = mkdtempSync(join(tmpdir(), 'burrow-home-'));
  await burrow.startAgent('demo');
});

after(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  await burrow.stop();
  rmSync(home, { recursive: true, force: true });
});

/** An app in the workspace. */
async function app(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    serve(socket);
  });
  servers.add(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function dial(port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  sockets.add(socket);
  return socket.on('error', () => {});
}

const env = (url = burrow.url): Record<string, string> => ({
  HOME: home,
  XDG_CACHE_HOME: join(tmpdir(), 'burrow-test-cache'),
  BURROW_URL: url,
  BURROW_TOKEN: burrow.token,
});

const forward = (...args: string[]): Promise<Forward> => startForward(env(), args);

const cli = (...args: string[]): Promise<Ran> =>
  run(process.execPath, [join(ROOT, 'scripts/burrow.mjs'), 'port-forward', ...args], {
    env: env(),
  });

/** Not by iterating: at its end that destroys a socket whose other half is still to be used. */
async function all(socket: Socket): Promise<Buffer> {
  const got: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => got.push(chunk)).resume();
  await once(socket, 'end');
  return Buffer.concat(got);
}

const sum = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

test('many connections at once, over several ports, each byte where it belongs and each way ending by itself', async () => {
  const echo = await app((socket) => void socket.pipe(socket));
  // Answers only what is complete: half-close must arrive.
  const digest = await app((socket) => {
    void all(socket).then((bytes) => socket.end(sum(bytes)));
  });
  await using forwarding = await forward('demo', `:${echo}`, `0:${digest}`);
  const [first, second] = forwarding.ports as [number, number];
  const rounds = Array.from({ length: 60 }, async (_, i) => {
    const sent = randomBytes(i === 0 ? 5_000_000 : 20_000);
    const socket = dial(i % 2 === 0 ? first : second);
    socket.end(sent);
    const got = await all(socket);
    if (i % 2 === 0) assert.ok(got.equals(sent), `connection ${i}: ${got.length} bytes`);
    else assert.equal(got.toString(), sum(sent));
  });
  await Promise.all(rounds);
  assert.equal(forwarding.stderr, '');
  await eventually('the audit log says that the port was reached', async () => {
    const answer = await burrow.send('/api/v1/audit-events?action=port.forwarded');
    const { events } = answer.json<{ events: { detail: string; outcome: string }[] }>();
    return events.some(({ detail, outcome }) => detail === `port ${echo}` && outcome === 'ok');
  });
});

test('a side that does not read holds the other back, and nothing is lost', async () => {
  let given = 0;
  const total = 32 * 1024 * 1024;
  const source = await app((socket) => {
    const give = (): void => {
      while (given < total) {
        given += 65_536;
        if (!socket.write(Buffer.alloc(65_536, given / 65_536))) return;
      }
      socket.end();
    };
    socket.on('drain', give);
    give();
  });
  await using forwarding = await forward('demo', `:${source}`);
  const socket = dial(forwarding.ports[0]!).pause();
  let before = -1;
  await eventually('the app is held back', async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    const stands = given > 0 && given === before;
    before = given;
    return stands;
  });
  assert.ok(given < total, 'all of it was taken though nobody reads');
  const got = await all(socket);
  assert.equal(got.length, total);
  for (let at = 0; at < total; at += 65_536) assert.equal(got[at], (at / 65_536 + 1) & 255);
  socket.end();
});

test('what refuses is said in one line, and the local connection is reset', async () => {
  const closed = await app(() => {});
  for (const server of servers) {
    if ((server.address() as AddressInfo | null)?.port !== closed) continue;
    server.close();
    servers.delete(server);
  }
  await using forwarding = await forward('demo', `:${closed}`, ':22');
  for (const port of forwarding.ports) {
    const [error] = (await once(dial(port).removeAllListeners('error'), 'error')) as [Error];
    assert.match(error.message, /ECONNRESET/);
  }
  await eventually('both are said', () => forwarding.stderr.split('\n').length === 3);
  assert.match(forwarding.stderr, new RegExp(`^burrow: port ${closed}: Nothing listens on port`));
  assert.match(forwarding.stderr, /\nburrow: port 22: The agent does not allow port 22/);
});

test('a program that breaks off is not taken for one that has ended', async () => {
  const ends: string[] = [];
  const port = await app((socket) => {
    socket.resume();
    socket.on('end', () => ends.push('end')).on('error', () => ends.push('reset'));
  });
  await using forwarding = await forward('demo', `:${port}`);
  const socket = dial(forwarding.ports[0]!);
  await once(socket, 'connect');
  socket.write('half a requ');
  socket.resetAndDestroy();
  await eventually('the app sees it', () => ends.length > 0);
  assert.deepEqual(ends, ['reset']);
});

test('connections survive a relay that cannot be reached for a while, and new ones wait for it', async (t) => {
  const line = await startCuttableLine(() => burrow.port);
  t.after(() => line[Symbol.asyncDispose]());
  const echo = await app((socket) => void socket.pipe(socket));
  await using forwarding = await startForward(env(`http://127.0.0.1:${line.port}`), [
    'demo',
    `:${echo}`,
  ]);
  const socket = dial(forwarding.ports[0]!);
  const heard = all(socket);
  socket.write('before, ');
  await once(socket, 'data');
  line.cut();
  socket.write('meanwhile');
  const late = dial(forwarding.ports[0]!);
  late.end('late');
  await new Promise((resolve) => setTimeout(resolve, 300));
  line.mend();
  assert.equal((await all(late)).toString(), 'late');
  socket.end();
  assert.equal((await heard).toString(), 'before, meanwhile');
  assert.equal(forwarding.stderr, '');
});

test('Ctrl-C ends everything, in order', async () => {
  const echo = await app((socket) => void socket.pipe(socket));
  const forwarding = await forward('demo', `:${echo}`);
  const socket = dial(forwarding.ports[0]!);
  socket.write('x');
  await once(socket, 'data');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  forwarding.kill('SIGINT');
  assert.deepEqual(await forwarding.exited, { code: 0, signal: null });
  await closed;
  assert.equal(forwarding.stderr, '');
});

test('what is wrong is said before anything listens', async () => {
  const taken = await app(() => {});
  const busy = await cli('demo', `${taken}:3000`);
  assert.equal(busy.code, 1);
  assert.match(
    busy.stderr,
    /^burrow: Another program listens on 127\.0\.0\.1:\d+ already\. Choose another port: :3000/,
  );
  assert.equal(busy.stdout, '');
  const unknown = await cli('nosuch', '3000');
  assert.equal(unknown.code, 4);
  for (const ports of [['0'], ['1:2:3'], ['http'], ['70000']]) {
    const { code, stderr } = await cli('demo', ...ports);
    assert.deepEqual([code, /names no ports/.test(stderr)], [2, true]);
  }
  assert.equal((await cli('demo', '3000', '--address', 'example.com')).code, 2);
  const nobody = await run(
    process.execPath,
    [join(ROOT, 'scripts/burrow.mjs'), 'port-forward', 'demo', ':1'],
    { env: { ...env(), BURROW_TOKEN: `burrow_pat_${'A'.repeat(43)}` } },
  );
  assert.equal(nobody.code, 3);
});

test('people get a line for each port', async () => {
  const child = spawn(
    process.execPath,
    [join(ROOT, 'scripts/burrow.mjs'), 'port-forward', 'demo.burrow', ':3000', ':3001'],
    { env: { PATH: process.env['PATH'] ?? '', ...env() }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  for await (const text of child.stdout.setEncoding('utf8')) {
    said += String(text);
    if (said.split('\n').length === 3) child.kill('SIGTERM');
  }
  assert.match(said, /^(Forwarding 127\.0\.0\.1:\d+ → demo:300[01]\n){2}$/);
});

test('listening for others than this machine is warned of', async () => {
  await using forwarding = await forward('demo', '--address=0.0.0.0', ':3000');
  await eventually('it is said', () => forwarding.stderr.startsWith('burrow: 0.0.0.0 is not of'));
});

test('a token that is revoked ends it', async () => {
  const made = await burrow.send('/api/v1/user/tokens', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'forward' }),
  });
  const { id, token } = made.json<{ id: string; token: string }>();
  const forwarding = await startForward({ ...env(), BURROW_TOKEN: token }, ['demo', ':3000']);
  await burrow.send(`/api/v1/user/tokens/${id}`, { method: 'DELETE' });
  assert.equal((await forwarding.exited).code, 3);
  assert.match(forwarding.stderr, /^burrow: Your access token was revoked/);
});
