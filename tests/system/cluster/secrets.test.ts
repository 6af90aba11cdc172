// Two relays on one PostgreSQL: what must be the same on both, its replacement, its backup.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { ROOT } from '../../../scripts/lib/project-node.mjs';
import type { PostgresServer } from '../../../scripts/lib/postgres-server.ts';
import { startBurrow, type Burrow } from '../../harness/burrow.ts';
import { eventually } from '../../harness/eventually.ts';
import { postgresForTests } from '../../harness/postgres.ts';
import { run, type Ran } from '../../harness/run.ts';
import { send, type Answer } from '../../harness/send.ts';

const SECRET = 'a secret of thirty-two bytes, at the least';
const OTHER = 'another secret of thirty-two bytes at least';
/** What is taken away is felt elsewhere within this, ms. */
const WITHIN_MS = 1_000;

let server: PostgresServer;
let home: string;
before(async () => {
  server = await postgresForTests();
  home = mkdtempSync(join(tmpdir(), 'burrow-secrets-'));
});
after(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

let made = 0;
async function emptyDatabase(): Promise<string> {
  const name = `secrets_${++made}`;
  await admin(`create database ${name}`);
  return server.url(name);
}

async function admin(query: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url('postgres') });
  await client.connect();
  await client.query(query);
  await client.end();
}

const relay = (url: string, secrets: readonly string[] = [SECRET]): Promise<Burrow> => {
  const secretFile = join(home, `secret-${++made}`);
  writeFileSync(secretFile, secrets.map((secret) => `${secret}\n`).join(''), { mode: 0o600 });
  return startBurrow({
    config: {
      database: { url },
      cluster: { secretFile },
      ssh: { enabled: true, port: 0 },
      listen: { trustedProxies: ['loopback'] },
    },
  });
};

async function two(url: string): Promise<[Burrow, Burrow]> {
  const [here, there] = await Promise.all([relay(url), relay(url)]);
  return [here, there];
}

const hostKeyOf = ({ relay: { ssh } }: Burrow): string => ssh?.hostKey ?? assert.fail('no SSH');
const userCaOf = async (burrow: Burrow): Promise<{ publicKey: string; publicKeys: string[] }> =>
  (await burrow.send('/api/v1/ssh/user-ca')).json();

/** `burrow relay keys …`, as an operator runs it. */
async function keys(url: string, ...args: string[]): Promise<Ran> {
  const env = {
    BURROW_RELAY_DATABASE__URL: url,
    BURROW_RELAY_CLUSTER__SECRET: SECRET,
    BURROW_RELAY_DATA_DIR: join(home, 'operator'),
  };
  return run(process.execPath, [join(ROOT, 'scripts/burrow.mjs'), 'relay', 'keys', ...args], {
    env,
  });
}

function cookieOf(answer: Answer): string {
  const [cookie] = answer.headers['set-cookie'] ?? [];
  return cookie?.split(';', 1)[0] ?? assert.fail(`no cookie: ${answer.status} ${answer.text}`);
}

/** Signs in on one relay, by a link that the other made. */
async function signIn(link: string, on: Burrow): Promise<string> {
  const url = new URL(link);
  url.port = String(on.port);
  return cookieOf(await send(url));
}

interface Person {
  readonly identity: string;
  readonly keyId: string;
}

async function keyOf(burrow: Burrow, name: string): Promise<Person> {
  const identity = join(home, name);
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', identity]);
  const answer = await burrow.send('/api/v1/user/keys', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ title: name, key: readFileSync(`${identity}.pub`, 'utf8').trim() }),
  });
  assert.equal(answer.status, 201, answer.text);
  return { identity, keyId: answer.json<{ id: string }>().id };
}

function sshArgs(to: Burrow, { identity }: Person, knownHosts: string, update = false): string[] {
  return [
    ...['-F', 'none', '-o', `UserKnownHostsFile=${knownHosts}`, '-o', 'IdentityAgent=none'],
    ...['-o', 'StrictHostKeyChecking=yes', '-o', 'BatchMode=yes', '-o', 'HostKeyAlias=relay'],
    ...['-o', `UpdateHostKeys=${update ? 'yes' : 'no'}`, '-o', 'IdentitiesOnly=yes'],
    ...['-i', identity, '-p', String(to.relay.ssh?.port)],
  ];
}

describe('two relays that start at the same moment on one database', () => {
  let url: string;
  let here: Burrow;
  let there: Burrow;
  before(async () => {
    url = await emptyDatabase();
    [here, there] = await two(url);
  });
  after(async () => {
    await Promise.all([here?.stop(), there?.stop()]);
  });

  test('have one SSH host key and one user CA, of which nothing readable is in the database', async () => {
    assert.equal(hostKeyOf(here), hostKeyOf(there));
    assert.equal((await userCaOf(here)).publicKey, (await userCaOf(there)).publicKey);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query('select * from cluster_keys');
    await client.end();
    assert.equal(rows.length, 2);
    assert.doesNotMatch(JSON.stringify(rows), /PRIVATE KEY/);
  });

  test('sign in on one, by a link of the other, and go on there', async () => {
    const cookie = await signIn(await there.signInLink(), here);
    const seen = await there.sendAnonymously('/', { headers: { cookie } });
    assert.equal(seen.status, 200, seen.text);
  });

  test('a sign-in link and a hand-over code work once in all', async () => {
    const link = await here.signInLink();
    const answers = await Promise.all(
      [here, there, here, there].map((on) => {
        const at = new URL(link);
        at.port = String(on.port);
        return send(at);
      }),
    );
    assert.equal(answers.filter(({ headers }) => headers['set-cookie'] !== undefined).length, 1);

    await here.createWorkspace('codes');
    // Behind one balancer both have one authority: their ports are hidden.
    const host = 'codes.localhost';
    const asked = await there.sendAnonymously('/', {
      headers: {
        host,
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'document',
        accept: 'text/html',
      },
    });
    assert.equal(asked.status, 302, asked.text);
    const nonce = cookieOf(asked);
    const to = new URL(String(asked.headers.location));
    const cookie = await signIn(await here.signInLink(), there);
    const handed = await here.sendAnonymously(to.pathname + to.search, {
      headers: { host: to.host, cookie },
    });
    assert.equal(handed.status, 302, handed.text);
    const callback = new URL(String(handed.headers.location));
    const redeemed = await Promise.all(
      [there, here, there].map((on) =>
        on.sendAnonymously(callback.pathname + callback.search, {
          headers: {
            host,
            cookie: nonce,
            'sec-fetch-mode': 'navigate',
            'sec-fetch-dest': 'document',
          },
        }),
      ),
    );
    const signedIn = redeemed.filter(({ headers }) =>
      (headers['set-cookie'] ?? []).some((text) => /^burrow_app=[^;]{20}/.test(text)),
    );
    assert.equal(
      signedIn.length,
      1,
      redeemed.map(({ status, text }) => `${status} ${text}`).join(),
    );
  });

  test('failed sign-ins count over both', async () => {
    const attempt = async (on: Burrow): Promise<number> => {
      const answer = await on.sendAnonymously('/sign-in', {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          origin: on.url,
          'x-forwarded-for': '203.0.113.7',
        },
        body: 'provider=local&secret=burrow_pat_wrong',
      });
      return answer.status;
    };
    const statuses: number[] = [];
    for (let i = 0; i < 12; i += 1) statuses.push(await attempt(i % 2 === 0 ? here : there));
    assert.deepEqual(statuses, [...Array.from({ length: 10 }, () => 401), 429, 429]);
  });

  test('what one takes away, the other cuts within a second', async (t) => {
    const app = createServer((incoming, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: hello\n\n');
      incoming.on('close', () => {});
    });
    app.listen(0, '127.0.0.1');
    await once(app, 'listening');
    t.after(() => app.closeAllConnections());
    t.after(() => app.close());
    const appPort = (app.address() as AddressInfo).port;
    await here.createWorkspace('cut');
    await here.startAgent('cut', {
      BURROW_RELAY_URL: `http://127.0.0.1:${there.port}`,
      HOME: home,
    });
    await eventually('the other relay has the agent', async () => {
      const { agent } = await there.showWorkspace('cut');
      return (agent?.links ?? 0) > 0;
    });
    const host = `${appPort}-cut.localhost:${there.port}`;

    /** An open stream of the app through the other relay; resolves when it is cut. */
    async function stream(headers: Record<string, string>): Promise<{ cut: Promise<number> }> {
      const sent = request({
        host: '127.0.0.1',
        port: there.port,
        path: '/',
        headers: { host, ...headers },
      });
      sent.end();
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      assert.equal(response.statusCode, 200);
      await once(response, 'data');
      response.resume();
      response.on('error', () => {});
      return {
        cut: new Promise((resolve) => response.once('close', () => resolve(performance.now()))),
      };
    }
    const knownHosts = join(home, 'known-cut');
    writeFileSync(knownHosts, `relay ${hostKeyOf(here)}\n`);
    const person = await keyOf(here, 'cut-key');
    async function ssh(): Promise<{ cut: Promise<number> }> {
      const child = spawn(
        'ssh',
        [...sshArgs(there, person, knownHosts), 'cut@127.0.0.1', 'echo in; cat'],
        {
          stdio: ['pipe', 'pipe', 'ignore'],
        },
      );
      t.after(() => child.kill());
      await once(child.stdout, 'data');
      return {
        cut: new Promise((resolve) => child.once('exit', () => resolve(performance.now()))),
      };
    }

    const admin = await here.relay.auth.users.ensureLocalAdmin();
    const token = await here.relay.auth.tokens.create(admin.userId, 'cut');
    const parent = await here.relay.auth.sessions.createControl(admin.userId);
    const session = await here.relay.auth.sessions.createApp({
      userId: admin.userId,
      parentId: parent.id,
      host,
    });
    const streamed = await stream({ 'burrow-authorization': `Bearer ${token.token}` });
    const shown = await stream({ cookie: `burrow_app=${session?.secret}` });
    const typed = await ssh();
    const cuts: [what: string, open: { cut: Promise<number> }, take: () => Promise<unknown>][] = [
      ['token', streamed, () => here.send(`/api/v1/user/tokens/${token.id}`, { method: 'DELETE' })],
      ['session', shown, () => here.relay.auth.sessions.revoke(parent.id)],
      [
        'SSH key',
        typed,
        () => here.send(`/api/v1/user/keys/${person.keyId}`, { method: 'DELETE' }),
      ],
    ];
    for (const [what, { cut }, take] of cuts) {
      await take();
      const began = performance.now();
      const took = (await cut) - began;
      assert.ok(took < WITHIN_MS, `${what}: ${took} ms`);
    }
    const last = await stream({ 'burrow-authorization': `Bearer ${here.token}` });
    await here.send('/api/v1/workspaces/cut', { method: 'DELETE' });
    const began = performance.now();
    assert.ok((await last.cut) - began < WITHIN_MS);
    const gone = await there.send(`http://${host}/`);
    assert.equal(gone.status, 404, gone.text);
  });

  test('settings of a port that one changes hold on the other within a second', async () => {
    await here.createWorkspace('ports');
    const origin = 'https://else.example';
    const preflight = (): Promise<Answer> =>
      there.sendAnonymously('/', {
        method: 'OPTIONS',
        headers: {
          host: `3000-ports.localhost:${there.port}`,
          origin,
          'access-control-request-method': 'GET',
        },
      });
    assert.equal((await preflight()).status, 401);
    const set = await here.send('/api/v1/workspaces/ports/ports/3000', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ corsOrigins: [origin] }),
    });
    assert.equal(set.status, 200, set.text);
    await new Promise((resolve) => setTimeout(resolve, WITHIN_MS));
    assert.equal((await preflight()).status, 204);
  });
});

describe('replacing what relays share', () => {
  test('the SSH host key: clients that signed in meanwhile notice nothing, nobody is signed out', async (t) => {
    const url = await emptyDatabase();
    const [here, there] = await two(url);
    t.after(() => Promise.all([here.stop(), there.stop()]));
    const cookie = await signIn(await here.signInLink(), here);
    const person = await keyOf(here, 'rotate-key');
    const known = (name: string): string => {
      const file = join(home, name);
      writeFileSync(file, `relay ${hostKeyOf(here)}\n`);
      return file;
    };
    const [learns, stays] = [known('known-learns'), known('known-stays')];
    const before = hostKeyOf(here);
    const home_ = (to: Burrow, file: string, update: boolean): Promise<Ran> =>
      run('ssh', [...sshArgs(to, person, file, update), 'burrow@127.0.0.1', 'true']);

    const rotated = await keys(url, 'rotate', 'ssh-host');
    assert.equal(rotated.code, 0, rotated.stderr);
    const next = /^ssh-ed25519 \S+$/m.exec(rotated.stdout)?.[0] ?? assert.fail(rotated.stdout);
    const learned = (file: string): string[] =>
      [...readFileSync(file, 'utf8').matchAll(/ssh-ed25519 \S+/g)].map(([key]) => key).toSorted();
    await eventually('a client learns the next key', async () => {
      await home_(there, learns, true);
      return learned(learns).includes(next);
    });
    assert.deepEqual(learned(learns), [before, next].toSorted());
    assert.equal(hostKeyOf(there), before);
    assert.match((await keys(url, 'list')).stdout, /ssh-host +current .*\nssh-host +next /);

    assert.equal((await keys(url, 'activate', 'ssh-host')).code, 0);
    await eventually('both relays use it', async () =>
      [here, there].every((each) => hostKeyOf(each) === next),
    );
    for (const to of [here, there]) {
      assert.doesNotMatch(
        (await home_(to, learns, true)).stderr,
        /HOST IDENTIFICATION|verification failed/,
      );
      assert.match((await home_(to, stays, false)).stderr, /IDENTIFICATION HAS CHANGED/);
    }
    assert.deepEqual(learned(learns), [next], 'the old one is forgotten');
    assert.equal((await there.sendAnonymously('/', { headers: { cookie } })).status, 200);
    const again = await keys(url, 'activate', 'ssh-host');
    assert.equal(again.code, 1);
    assert.match(again.stderr, /no next key/);
  });

  test('the user CA: both are listed until the next one signs', async (t) => {
    const url = await emptyDatabase();
    const [here, there] = await two(url);
    t.after(() => Promise.all([here.stop(), there.stop()]));
    const old = (await userCaOf(here)).publicKey;
    await keys(url, 'rotate', 'ssh-user-ca');
    await eventually('both list two', async () => {
      const lists = await Promise.all([here, there].map(userCaOf));
      return lists.every(({ publicKeys }) => publicKeys.length === 2);
    });
    const { publicKey, publicKeys } = await userCaOf(there);
    assert.equal(publicKey, old);
    await keys(url, 'activate', 'ssh-user-ca');
    await eventually('both sign by the next', async () => {
      const each = await Promise.all([here, there].map(userCaOf));
      return each.every((ca) => ca.publicKey === publicKeys[1] && ca.publicKeys.length === 1);
    });
  });

  test('the cluster’s secret: relay by relay, with one always up, keys and sessions stay', async (t) => {
    const url = await emptyDatabase();
    let [here, there] = await two(url);
    t.after(() => Promise.all([here.stop(), there.stop()]));
    const key = hostKeyOf(here);
    const cookie = await signIn(await here.signInLink(), here);
    for (const secrets of [[SECRET, OTHER], [OTHER, SECRET], [OTHER]]) {
      await here.stop();
      here = await relay(url, secrets);
      assert.equal(hostKeyOf(here), key);
      await there.stop();
      there = await relay(url, secrets);
      assert.equal(hostKeyOf(there), key);
      for (const each of [here, there]) {
        assert.equal((await each.sendAnonymously('/', { headers: { cookie } })).status, 200);
      }
    }
    await assert.rejects(relay(url, [SECRET]), { code: 'config-invalid' });
  });
});

describe('backup and restore', () => {
  test('of PostgreSQL: pg_dump into an empty database', async (t) => {
    const [from, to] = [await emptyDatabase(), await emptyDatabase()];
    const before = await relay(from);
    t.after(() => before.stop());
    const cookie = await signIn(await before.signInLink(), before);
    const key = hostKeyOf(before);
    const tool = (name: string): string =>
      globSync(`/usr/lib/postgresql/*/bin/${name}`).at(-1) ?? name;
    const dump = await run(tool('pg_dump'), ['--no-owner', from]);
    assert.equal(dump.code, 0, dump.stderr);
    const restored = await run(tool('psql'), ['-q', '-v', 'ON_ERROR_STOP=1', '-d', to], {
      input: dump.bytes,
    });
    assert.equal(restored.code, 0, restored.stderr);
    const later = await relay(to);
    t.after(() => later.stop());
    assert.equal(hostKeyOf(later), key);
    assert.equal((await later.sendAnonymously('/', { headers: { cookie } })).status, 200);
    assert.equal((await later.send('/api/v1/workspaces')).status, 200);
  });

  test('of a single relay: its data folder, copied while it is stopped', async () => {
    const config = { ssh: { enabled: true, port: 0 } };
    const first = await startBurrow({ config });
    const cookie = await signIn(await first.signInLink(), first);
    const key = hostKeyOf(first);
    const copy = join(home, 'copy');
    await first.relay.stop(0);
    cpSync(first.dataDir, copy, { recursive: true });
    await first.stop();
    const { createRelay } = await import('../../../packages/relay/src/relay.ts');
    const { configSchema } = await import('../../../packages/relay/src/config/schema.ts');
    const later = await createRelay(
      configSchema.parse({
        dataDir: copy,
        listen: { port: 0 },
        log: { level: 'silent' },
        ...config,
      }),
    );
    await later.start();
    try {
      assert.equal(later.ssh?.hostKey, key);
      const seen = await send(new URL('/', later.url), { headers: { cookie } });
      assert.equal(seen.status, 200);
    } finally {
      await later.stop(0);
    }
  });

  test('a single relay that becomes a cluster keeps its SSH host key', async (t) => {
    const url = await emptyDatabase();
    const config = { database: { url }, ssh: { enabled: true, port: 0 } };
    const alone = await startBurrow({ config });
    const key = hostKeyOf(alone);
    await alone.relay.stop(0);
    const { createRelay } = await import('../../../packages/relay/src/relay.ts');
    const { configSchema } = await import('../../../packages/relay/src/config/schema.ts');
    const member = await createRelay(
      configSchema.parse({
        ...config,
        dataDir: alone.dataDir,
        cluster: { secret: SECRET },
        listen: { port: 0 },
        log: { level: 'silent' },
      }),
    );
    t.after(async () => {
      await member.stop(0);
      await alone.stop();
    });
    await member.start();
    assert.equal(member.ssh?.hostKey, key);
    const second = await relay(url);
    t.after(() => second.stop());
    assert.equal(hostKeyOf(second), key);
  });
});
