// The command line with a real ssh: login, ssh, ssh-config, ssh-known-hosts, keys.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { ROOT } from '../../scripts/lib/project-node.mjs';
import { startBurrow, type Burrow } from '../harness/burrow.ts';
import { startFakeWorkload, type FakeWorkload } from '../harness/fake-workload.ts';
import { run, type Ran, type RunOptions } from '../harness/run.ts';

const SCRIPT = join(ROOT, 'scripts/burrow.mjs');

let burrow: Burrow;
let workload: FakeWorkload;
let home: string;

before(async () => {
  burrow = await startBurrow();
  const { environment } = await burrow.createWorkspace('demo');
  assert.ok(environment);
  workload = await startFakeWorkload(burrow.url, environment.BURROW_AGENT_TOKEN);
});

after(async () => {
  await workload[Symbol.asyncDispose]();
  await burrow.stop();
  rmSync(home, { recursive: true, force: true });
});

beforeEach(async () => {
  if (home !== undefined) rmSync(home, { recursive: true, force: true });
  home = mkdtempSync(join(tmpdir(), 'burrow-home-'));
});

const env = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  HOME: home,
  // What was compiled for one test serves the next.
  XDG_CACHE_HOME: join(tmpdir(), 'burrow-test-cache'),
  TMPDIR: home,
  ...more,
});

function cli(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return run(process.execPath, [SCRIPT, ...args], { ...options, env: env(options.env) });
}

async function signIn(): Promise<void> {
  const ran = await cli(['login', burrow.url], { input: `${burrow.token}\n` });
  assert.equal(ran.code, 0, ran.stderr);
}

test('login takes the token from standard input, checks it, and keeps it for its owner alone', async () => {
  const nobody = await cli(['login', burrow.url], { input: `burrow_pat_${'A'.repeat(43)}` });
  assert.equal(nobody.code, 3);
  assert.match(
    nobody.stderr,
    /^burrow: The access token is malformed, unknown, expired or revoked/,
  );
  assert.equal(existsSync(join(home, '.config')), false);
  assert.equal((await cli(['status'])).code, 3);

  await signIn();
  const file = join(home, '.config/burrow/config.json');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
    url: burrow.url,
    token: burrow.token,
  });
  const status = await cli(['whoami', '--json']);
  assert.equal((JSON.parse(status.stdout) as { url: string }).url, burrow.url);

  // The token of one relay goes to no other.
  const other = await cli(['status'], { env: { BURROW_URL: 'http://127.0.0.1:1' } });
  assert.equal(other.code, 3);
  assert.match(other.stderr, /another relay/);

  assert.equal((await cli(['logout'])).code, 0);
  assert.equal(existsSync(file), false);
});

test('a URL without TLS on another machine is refused before a token is asked for', async () => {
  const ran = await cli(['login', 'http://relay.example.com'], { input: burrow.token });
  assert.equal(ran.code, 2);
  assert.match(ran.stderr, /not encrypted/);
});

test('list shows workspaces, for people and for scripts', async () => {
  await signIn();
  const list = await cli(['list']);
  assert.match(list.stdout, /^NAME +STATE +SSH HOST +EDITOR\ndemo +running +demo\.burrow +http/);
  const [first] = JSON.parse((await cli(['list', '--json'])).stdout) as { name: string }[];
  assert.equal(first?.name, 'demo');
});

test('burrow ssh runs a command and ends as it did, leaving no key behind', async () => {
  await signIn();
  const ran = await cli(['ssh', 'demo', 'cat; echo', '-n', 'to stderr', '>&2; exit', '42'], {
    input: 'from here',
  });
  assert.deepEqual([ran.code, ran.stdout, ran.stderr], [42, 'from here', 'to stderr']);
  assert.deepEqual(
    readdirSync(home).filter((name) => name.startsWith('burrow-ssh-')),
    [],
  );
  const channel = workload.channels.at(-1);
  assert.deepEqual(channel?.principal.username, 'admin');
  assert.equal(channel.target.kind === 'ssh' && channel.target.authorizedKeys.length, 1);
  // Options of ssh come between two lines.
  const verbose = await cli(['ssh', 'demo', '--', '-v', '--', 'echo', '--', 'yes']);
  assert.equal(verbose.stdout, '-- yes\n');
  assert.match(verbose.stderr, /debug1: Authenticating to demo\.burrow/);
});

test('burrow ssh says what is wrong, and ends with 255 as ssh does', async () => {
  const nameless = await cli(['ssh', 'demo', 'true']);
  assert.deepEqual(
    [nameless.code, nameless.stderr.split('.')[0]],
    [255, 'burrow: You are not signed in'],
  );
  await signIn();
  const unknown = await cli(['ssh', 'nosuch', 'true']);
  assert.equal(unknown.code, 255);
  assert.match(unknown.stderr, /^burrow: .*(no such|There is no) workspace/i);
  await burrow.createWorkspace('empty').catch(() => {});
  const empty = await cli(['ssh', 'empty', 'true']);
  assert.equal(empty.code, 255);
  assert.match(empty.stderr, /has not reported an SSH host key yet/);
});

test('ssh-config: ssh demo.burrow just works, checked strictly from the first connection', async () => {
  await signIn();
  const folder = join(home, '.ssh');
  const made = await cli(['ssh-config', '--ssh-dir', folder]);
  assert.equal(made.code, 0, made.stderr);
  const config = join(folder, 'config');
  execFileSync('ssh', ['-G', '-F', config, 'demo.burrow'], { stdio: 'pipe' });
  assert.equal(statSync(config).mode & 0o777, 0o600);
  assert.equal(statSync(join(folder, 'burrow_ed25519')).mode & 0o777, 0o600);
  const go = (host: string): Promise<Ran> =>
    run('ssh', ['-F', config, '-o', 'BatchMode=yes', host, 'echo in $0'], { env: env() });
  const ran = await go('demo.burrow');
  assert.deepEqual([ran.code, ran.stdout, ran.stderr], [0, 'in sh\n', '']);
  // No key was added to the account for it.
  assert.deepEqual(JSON.parse((await cli(['keys', 'list', '--json'])).stdout), []);
  const other = await go('nosuch.burrow');
  assert.equal(other.code, 255);
  assert.match(other.stderr, /There is no workspace “nosuch”/);
});

test('ssh-config leaves what people wrote byte for byte, and takes itself out again', async () => {
  const folder = join(home, '.ssh');
  const real = join(home, 'dotfiles');
  mkdirSync(folder, { mode: 0o700 });
  mkdirSync(real);
  const own = Buffer.from('# caf\xe9, no line break at the end\r\nHost x\r\n\tUser y', 'latin1');
  writeFileSync(join(real, 'config'), own, { mode: 0o640 });
  symlinkSync(join(real, 'config'), join(folder, 'config'));
  const bytes = (): Buffer => readFileSync(join(real, 'config'));

  assert.equal((await cli(['ssh-config', '--ssh-dir', folder])).code, 0);
  const once = bytes();
  assert.ok(once.toString('latin1').startsWith('# >>> burrow ssh-config >>>\n'));
  assert.ok(once.subarray(-own.length).equals(own));
  const again = await cli(['ssh-config', '--ssh-dir', folder]);
  assert.match(again.stdout, /^Nothing to do/);
  assert.ok(bytes().equals(once));

  const key = readFileSync(join(folder, 'burrow_ed25519'));
  assert.equal((await cli(['ssh-config', '--remove', '--ssh-dir', folder])).code, 0);
  assert.ok(bytes().equals(own));
  assert.ok(lstatSync(join(folder, 'config')).isSymbolicLink());
  assert.equal(statSync(join(real, 'config')).mode & 0o777, 0o640);
  assert.equal(existsSync(join(folder, 'burrow_config')), false);
  assert.match(
    (await cli(['ssh-config', '--remove', '--ssh-dir', folder])).stdout,
    /^Nothing to do/,
  );

  // A key that is there is used again.
  assert.equal((await cli(['ssh-config', '--ssh-dir', folder])).code, 0);
  assert.ok(readFileSync(join(folder, 'burrow_ed25519')).equals(key));
});

test('ssh-config --print writes nothing', async () => {
  const folder = join(home, '.ssh');
  const ran = await cli(['ssh-config', '--print', '--ssh-dir', folder]);
  assert.match(ran.stdout, /Host \*\.burrow\n/);
  assert.equal(existsSync(folder), false);
});

test('keys are added, listed and removed; a private one never leaves', async () => {
  await signIn();
  const file = join(home, 'id');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'me@laptop', '-f', file]);
  const secret = await cli(['keys', 'add', file]);
  assert.equal(secret.code, 2);
  assert.match(secret.stderr, /is a private key/);
  const added = await cli(['keys', 'add', `${file}.pub`]);
  assert.equal(added.code, 0, added.stderr);
  assert.match(added.stdout, /^Added SHA256:.*me@laptop/);
  const [key] = JSON.parse((await cli(['keys', 'list', '--json'])).stdout) as {
    fingerprint: string;
  }[];
  assert.ok(key);

  // It is admitted wherever its owner may go, without having been named.
  const ran = await run(
    'ssh',
    [
      ...['-F', 'none', '-i', file, '-o', 'BatchMode=yes', '-o', 'IdentityAgent=none'],
      ...['-o', `KnownHostsCommand=${process.execPath} ${SCRIPT} ssh-known-hosts %H`],
      ...['-o', 'UserKnownHostsFile=none', '-o', 'StrictHostKeyChecking=yes'],
      ...['-o', `ProxyCommand=${process.execPath} ${SCRIPT} ssh-proxy %h`],
      ...['demo.burrow', 'echo in'],
    ],
    { env: env() },
  );
  assert.deepEqual([ran.code, ran.stdout, ran.stderr], [0, 'in\n', '']);

  assert.equal((await cli(['keys', 'remove', key.fingerprint])).code, 0);
  assert.equal((await cli(['keys', 'remove', key.fingerprint])).code, 4);
  assert.match((await cli(['keys', 'list'])).stderr, /no SSH keys/);
});

test('a wrong use is said with exit code 2', async () => {
  for (const args of [['nosuch'], ['ssh'], ['ssh-proxy', 'no_such'], ['keys', 'add']]) {
    const ran = await cli(args);
    assert.equal(ran.code, 2, args.join(' '));
    assert.notEqual(ran.stderr, '');
  }
});
