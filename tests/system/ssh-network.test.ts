// The command line where networks are less than kind: TLS by an authority of one's own, a proxy, links that are lost.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ROOT } from '../../scripts/lib/project-node.mjs';
import { startBurrow, type Burrow, type BurrowOptions } from '../harness/burrow.ts';
import { eventually } from '../harness/eventually.ts';
import { startFakeWorkload, type FakeWorkload } from '../harness/fake-workload.ts';
import { run, type Ran } from '../harness/run.ts';

const SCRIPT = join(ROOT, 'scripts/burrow.mjs');

interface Stand {
  readonly burrow: Burrow;
  readonly workload: FakeWorkload;
  readonly env: Readonly<Record<string, string>>;
  readonly cli: (args: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Ran>;
  /** `burrow ssh demo <command>` that is still running. */
  readonly start: (
    command: string,
  ) => ChildProcess & { readonly said: () => { out: string; error: string } };
}

async function stand(
  t: TestContext,
  tls = false,
  config: BurrowOptions['config'] = {},
): Promise<Stand> {
  const burrow = await startBurrow({ tls, config });
  t.after(() => burrow.stop());
  const { environment } = await burrow.createWorkspace('demo');
  assert.ok(environment);
  const plain = new URL(`http://127.0.0.1:${burrow.port}`);
  const workload = await startFakeWorkload(plain.origin, environment.BURROW_AGENT_TOKEN);
  t.after(() => workload[Symbol.asyncDispose]());
  const home = mkdtempSync(join(tmpdir(), 'burrow-home-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    XDG_CACHE_HOME: join(tmpdir(), 'burrow-test-cache'),
    TMPDIR: home,
    BURROW_URL: burrow.url,
    BURROW_TOKEN: burrow.token,
  };
  return {
    burrow,
    workload,
    env,
    cli: (args, more) => run(process.execPath, [SCRIPT, ...args], { env: { ...env, ...more } }),
    start(command) {
      const child = spawn(process.execPath, [SCRIPT, 'ssh', 'demo', command], {
        env,
        stdio: 'pipe',
      });
      t.after(() => child.kill('SIGKILL'));
      let out = '';
      let error = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (error += text));
      return Object.assign(child, { said: () => ({ out, error }) });
    },
  };
}

/** Leads every CONNECT to one port of this machine. */
async function proxyTo(t: TestContext, port: number): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((_request, response) => response.writeHead(400).end());
  server.on('connect', (request, client: Socket) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    const upstream = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      client.pipe(upstream).pipe(client);
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `http://me:secret@127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test(
  'through a proxy, with a certificate of an authority of one’s own',
  { timeout: 60_000 },
  async (t) => {
    const { burrow, cli } = await stand(t, true);
    const proxy = await proxyTo(t, burrow.port);
    const ca = burrow.certificate?.certFile ?? '';
    const env = { HTTPS_PROXY: proxy.url, BURROW_CA_FILE: ca };
    for (const transport of ['grpc', 'websocket']) {
      const ran = await cli(['ssh', 'demo', 'echo in'], { ...env, BURROW_TRANSPORT: transport });
      assert.deepEqual([ran.code, ran.stdout, ran.stderr], [0, 'in\n', '']);
    }
    const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`;
    assert.deepEqual([...new Set(proxy.asked)], [`burrow.test:${burrow.port} ${basic}`]);

    const untrusted = await cli(['list'], { HTTPS_PROXY: proxy.url });
    assert.equal(untrusted.code, 5);
    assert.match(untrusted.stderr, /certificate of burrow\.test:\d+ is not trusted/);
    const proxyless = await cli(['ssh-proxy', 'demo'], {
      ...env,
      HTTPS_PROXY: 'http://127.0.0.1:1',
    });
    assert.equal(proxyless.code, 5);
    assert.match(proxyless.stderr, /^burrow: The proxy 127\.0\.0\.1:1 cannot be reached/);
    const misspelt = await cli(['list'], { HTTPS_PROXY: 'http://me:pass%zz@127.0.0.1:1' });
    assert.equal(misspelt.code, 2);
    assert.match(misspelt.stderr, /^burrow: HTTPS_PROXY \(or ALL_PROXY\) is wrong: /);
    assert.doesNotMatch(misspelt.stderr, /pass%zz/);
    const saidWhole = [untrusted, proxyless].map(({ stderr }) => stderr).join('');
    assert.ok(!saidWhole.includes('secret') && !saidWhole.includes(burrow.token));
  },
);

test(
  'a revoked token cuts a session within a second, and says so in its terminal',
  { timeout: 30_000 },
  async (t) => {
    const { burrow, start } = await stand(t);
    const child = start('echo ready; sleep 60');
    await eventually('the command runs', () => child.said().out === 'ready\n');
    const { userId } = await burrow.relay.auth.users.ensureLocalAdmin();
    const since = performance.now();
    for (const { id } of await burrow.relay.auth.tokens.list(userId)) {
      await burrow.relay.auth.tokens.revoke(id);
    }
    const [code] = (await once(child, 'exit')) as [number];
    assert.ok(performance.now() - since < 1_500, `${performance.now() - since} ms`);
    assert.equal(code, 255);
    assert.match(child.said().error, /^burrow: Your access token was revoked or has expired/);
  },
);

test(
  'without resuming, a lost agent ends the session with the reason',
  { timeout: 30_000 },
  async (t) => {
    const { workload, start } = await stand(t, false, { gateway: { resumeMs: 0 } });
    const child = start('echo ready; sleep 60');
    await eventually('the command runs', () => child.said().out === 'ready\n');
    await workload[Symbol.asyncDispose]();
    const [code] = (await once(child, 'exit')) as [number];
    assert.equal(code, 255);
    assert.match(child.said().error, /^burrow: This relay does not keep connections that broke/);
  },
);

test(
  'a client that is killed leaves nothing open at the workload',
  { timeout: 30_000 },
  async (t) => {
    const { burrow, workload, start } = await stand(t);
    const child = start('echo ready; sleep 61');
    await eventually('the command runs', () => child.said().out === 'ready\n');
    // Its ssh and the proxy of that live a moment longer, and notice.
    child.kill('SIGTERM');
    await once(child, 'exit');
    await eventually('the channel is gone', () => workload.channels.every(({ closed }) => closed));
    assert.equal(burrow.relay.readiness().ready, true);
  },
);

test('a hundred connections at once', { timeout: 240_000 }, async (t) => {
  const { cli, burrow, env, workload } = await stand(t);
  const folder = join(burrow.dataDir, 'ssh');
  const made = await cli(['ssh-config', '--ssh-dir', folder]);
  assert.equal(made.code, 0, made.stderr);
  const all: (() => Promise<unknown>)[] = [];
  const connect = async (i: number): Promise<void> => {
    const child = spawn('ssh', ['-F', join(folder, 'config'), 'demo.burrow', 'cat'], {
      env: { ...env, BURROW_TRANSPORT: i % 2 === 0 ? 'grpc' : 'websocket' },
      stdio: 'pipe',
    });
    t.after(() => child.kill('SIGKILL'));
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    }
    child.stdin.write(`${i}\n`);
    await eventually(`connection ${i} answers`, () => said === `${i}\n`, 60_000);
    all.push(async () => {
      child.stdin.end();
      assert.deepEqual([(await once(child, 'exit'))[0], said], [0, `${i}\n`]);
    });
  };
  // So many are started at a time, as each is three programs; all stay open.
  for (let i = 0; i < 100; i += 5) {
    await Promise.all([0, 1, 2, 3, 4].map((more) => connect(i + more)));
  }
  assert.equal(workload.channels.filter(({ closed }) => !closed).length, 100);
  await Promise.all(all.map((end) => end()));
  await eventually('all are gone', () => workload.channels.every(({ closed }) => closed));
});
