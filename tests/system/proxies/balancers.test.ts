// nginx and HAProxy in front of a relay, with the settings of docs/load-balancers.md.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AuditEventList } from '@burrow/api';
import { WebSocket, WebSocketServer } from 'ws';
import { ensureAgentBundle } from '../../../scripts/lib/agent-bundle.ts';
import { startAgentProcess, type AgentProcess } from '../../harness/agent-process.ts';
import { startBurrow, type Burrow } from '../../harness/burrow.ts';
import { selfSignedCertificate, type Certificate } from '../../harness/certificate.ts';
import { eventually } from '../../harness/eventually.ts';
import { run } from '../../harness/run.ts';
import {
  BALANCERS,
  freePort,
  startBalancer,
  type Balancer,
  type BalancerName,
} from './support/balancer.ts';

const DOMAIN = 'burrow.test';
/** Of a client: the balancer and the relay are at 127.0.0.1. */
const CLIENT = '127.0.0.7';
const BULK = 16 << 20;

interface Stand extends AsyncDisposable {
  readonly burrow: Burrow;
  readonly balancer: Balancer;
  readonly https: number;
  readonly ssh: number;
  readonly ca: string;
  readonly folder: string;
  readonly upstream: App;
  /** Its host in workspace `demo`. */
  readonly app: string;
  /** Started through the balancer. */
  agent(transport: 'auto' | 'grpc' | 'websocket'): Promise<AgentProcess>;
}

interface App extends AsyncDisposable {
  readonly port: number;
  /** Bytes of bodies so far. */
  readonly received: number;
}

/** Answers with what it got, streams events, echoes messages. */
async function startApp(): Promise<App> {
  const server = createServer((incoming, response) => {
    if (incoming.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
      // The second comes when the first was seen: whoever buffers waits for ever.
      seen = () => response.end('data: 2\n\n');
      return;
    }
    if (incoming.url === '/seen') {
      seen();
      return void response.end();
    }
    if (incoming.url === '/down') return void response.end(Buffer.alloc(BULK, 'x'));
    const hash = createHash('sha256');
    incoming.on('data', (chunk: Buffer) => {
      received += chunk.length;
      hash.update(chunk);
    });
    incoming.on('end', () => response.end(hash.digest('hex')));
  });
  let seen = (): void => {};
  let received = 0;
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get received() {
      return received;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      server.close();
    },
  };
}

async function startStand(name: BalancerName): Promise<Stand> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'burrow-proxies-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const certificate: Certificate = await selfSignedCertificate(folder, DOMAIN);
  const [https, ssh] = [await freePort(), await freePort()];
  const burrow = stack.use(
    await startBurrow({
      domain: DOMAIN,
      config: {
        publicUrl: `https://${DOMAIN}:${https}`,
        listen: { trustedProxies: ['127.0.0.1'] },
        ssh: { enabled: true, port: 0, proxyProtocol: true },
      },
    }),
  );
  const balancer = stack.use(
    await startBalancer(name, {
      folder,
      certificate,
      domain: DOMAIN,
      https,
      ssh,
      relay: { port: burrow.relay.port, ssh: burrow.relay.ssh?.port ?? 0 },
    }),
  );
  const app = stack.use(await startApp());
  const bundle = await ensureAgentBundle();
  const answer = await api(burrow, '/workspaces', 'POST', { name: 'demo', driver: 'external' });
  const { environment } = JSON.parse(answer) as { environment: { BURROW_AGENT_TOKEN: string } };
  const kept = stack.move();
  return {
    burrow,
    balancer,
    https,
    ssh,
    ca: readFileSync(certificate.certFile, 'utf8'),
    folder,
    upstream: app,
    app: `${app.port}-demo.${DOMAIN}:${https}`,
    async agent(transport) {
      const agent = startAgentProcess(bundle, {
        HOME: folder,
        BURROW_RELAY_URL: `https://${DOMAIN}:${https}`,
        BURROW_AGENT_TOKEN: environment.BURROW_AGENT_TOKEN,
        BURROW_AGENT_CA_FILE: certificate.certFile,
        BURROW_AGENT_TRANSPORT: transport,
        BURROW_AGENT_DRAIN_TIMEOUT: '0',
        // The name resolves nowhere but here.
        NODE_OPTIONS: `--import=${hosts(folder)}`,
      });
      kept.use(agent);
      await eventually('the agent is connected', () =>
        agent.log.includes('"event":"linked"'),
      ).catch((error: unknown) => {
        throw new Error(`${agent.log}\n${balancer.said}`, { cause: error });
      });
      return agent;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A module that makes every name mean this machine. */
function hosts(folder: string): string {
  const file = join(folder, 'hosts.mjs');
  writeFileSync(
    file,
    `import dns from 'node:dns';
     const { lookup } = dns;
     dns.lookup = (name, options, done) =>
       lookup(name.endsWith('.test') ? '127.0.0.1' : name, options, done);
     (await import('node:module')).syncBuiltinESMExports();`,
  );
  return file;
}

/** Straight to the relay. */
async function api(burrow: Burrow, path: string, method = 'GET', json?: object): Promise<string> {
  const answer = await burrow.send(`http://127.0.0.1:${burrow.port}/api/v1${path}`, {
    method,
    ...(json === undefined
      ? {}
      : { body: JSON.stringify(json), headers: { 'content-type': 'application/json' } }),
  });
  assert.ok(answer.status < 300, answer.text);
  return answer.text;
}

async function auditOf(burrow: Burrow): Promise<AuditEventList['events']> {
  return (JSON.parse(await api(burrow, '/audit-events')) as AuditEventList).events;
}

interface Sent {
  readonly status: number;
  readonly body: Buffer;
}

/** Through the balancer, from a client's own address. */
function ask(
  it: Stand,
  host: string,
  path: string,
  options: {
    method?: string;
    body?: Buffer;
    rest?: () => Promise<Buffer>;
    onData?: (text: string) => void;
    json?: unknown;
  } = {},
): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const sent = request({
      host: '127.0.0.1',
      localAddress: CLIENT,
      port: it.https,
      servername: DOMAIN,
      ca: it.ca,
      path,
      method: options.method ?? 'GET',
      headers: {
        host,
        'burrow-authorization': `Bearer ${it.burrow.token}`,
        // A client that lies.
        'x-forwarded-for': '203.0.113.1',
        'x-forwarded-proto': 'http',
        ...(options.json === undefined ? {} : { 'content-type': 'application/json' }),
      },
      agent: false,
      signal: AbortSignal.timeout(30_000),
    });
    sent.on('error', reject);
    sent.on('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        options.onData?.(chunk.toString('latin1'));
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }),
      );
      response.on('error', reject);
    });
    const { body, rest, json } = options;
    if (rest === undefined) sent.end(json === undefined ? body : JSON.stringify(json));
    else {
      sent.write(body);
      rest().then((last) => sent.end(last), reject);
    }
  });
}

for (const name of BALANCERS) {
  describe(name, () => {
    let it: Stand;
    let agent: AgentProcess;
    before(async () => {
      it = await startStand(name);
      agent = await it.agent('auto');
    });
    after(async () => {
      await agent?.stop();
      await it?.[Symbol.asyncDispose]();
    });

    test('the agent’s links are gRPC, and last', async () => {
      const links = (): number => agent.log.match(/"event":"linked"/g)?.length ?? 0;
      await eventually('both links are there', () => links() === 2);
      assert.match(agent.log, /"transport":"grpc"/);
      assert.doesNotMatch(agent.log, /"transport":"websocket"/);
      await ask(it, it.app, '/');
      assert.equal(links(), 2);
    });

    test('a body is streamed both ways, whole', async (t) => {
      const began = performance.now();
      const body = randomBytes(BULK);
      // The second half is sent when some of the first was seen: whoever collects bodies waits for ever.
      const up = await ask(it, it.app, '/up', {
        method: 'POST',
        body: body.subarray(0, BULK / 2),
        rest: async () => {
          await eventually('the app has some of it', () => it.upstream.received > 0);
          return body.subarray(BULK / 2);
        },
      });
      assert.equal(up.status, 200, up.body.toString());
      assert.equal(up.body.toString(), createHash('sha256').update(body).digest('hex'));
      const half = performance.now();
      const down = await ask(it, it.app, '/down');
      assert.equal(down.body.length, BULK);
      const speed = (ms: number): string => `${Math.round(BULK / 1048.576 / ms)} MiB/s`;
      t.diagnostic(`up ${speed(half - began)}, down ${speed(performance.now() - half)}`);
      assert.equal(down.body.indexOf('y'), -1);
    });

    test('an event is there when it is sent', async () => {
      const got = await ask(it, it.app, '/events', {
        onData: (text) => {
          if (text.includes('data: 1')) void ask(it, it.app, '/seen');
        },
      });
      assert.equal(got.body.toString(), 'data: 1\n\ndata: 2\n\n');
    });

    test('a WebSocket echoes', async () => {
      const socket = new WebSocket(`wss://127.0.0.1:${it.https}/`, {
        ca: it.ca,
        headers: { host: it.app, 'burrow-authorization': `Bearer ${it.burrow.token}` },
      });
      await once(socket, 'open');
      for (const message of ['hello', 'x'.repeat(1 << 20)]) {
        socket.send(message);
        const [data] = (await once(socket, 'message')) as [Buffer];
        assert.equal(data.toString(), message);
      }
      socket.close();
      await once(socket, 'close');
    });

    test('the client’s address is its own, whatever it says', async () => {
      const made = await ask(it, `${DOMAIN}:${it.https}`, '/api/v1/user/tokens', {
        method: 'POST',
        json: { name: 'from afar' },
      });
      assert.equal(made.status, 201, made.body.toString());
      const event = await eventually('the event is written', async () =>
        (await auditOf(it.burrow)).find(({ action }) => action === 'token.created'),
      );
      assert.equal(event.address, CLIENT);
    });

    test('SSH by TCP, with the client’s address', async () => {
      const identity = join(it.folder, 'identity');
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', identity]);
      const added = await ask(it, `${DOMAIN}:${it.https}`, '/api/v1/user/keys', {
        method: 'POST',
        json: { title: 'x', key: readFileSync(`${identity}.pub`, 'utf8').trim() },
      });
      assert.equal(added.status, 201, added.body.toString());
      const known = join(it.folder, 'known_hosts');
      writeFileSync(known, `relay ${it.burrow.relay.ssh?.hostKey}\n`);
      const ran = await run('ssh', [
        ...['-F', 'none', '-o', `UserKnownHostsFile=${known}`, '-o', 'StrictHostKeyChecking=yes'],
        ...['-o', 'HostKeyAlias=relay', '-o', 'BatchMode=yes', '-o', 'IdentityAgent=none'],
        ...['-b', CLIENT, '-i', identity, '-p', String(it.ssh), 'demo@127.0.0.1', 'echo in'],
      ]);
      assert.deepEqual([ran.code, ran.stdout], [0, 'in\n'], ran.stderr);
      const event = await eventually('the event is written', async () =>
        (await auditOf(it.burrow)).find(({ action }) => action === 'ssh.sign-in'),
      );
      assert.equal(event.address, CLIENT);
    });

    test('an agent that may only use WebSocket', async () => {
      await agent.stop();
      agent = await it.agent('websocket');
      assert.match(agent.log, /"transport":"websocket"/);
      const got = await ask(it, it.app, '/', { method: 'POST', body: Buffer.from('x') });
      assert.equal(got.status, 200, got.body.toString());
    });
  });
}
