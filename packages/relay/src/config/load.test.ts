import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { RelayError } from '../errors.ts';
import { LEAVES } from './leaves.ts';
import { loadConfig, type LoadInput } from './load.ts';
import { printJson, printYaml } from './print.ts';
import { noticedWithinMs } from './schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'burrow-config-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
function file(text: string): string {
  const path = join(folder, `${files++}.yaml`);
  writeFileSync(path, text);
  return path;
}

test('the defaults are valid, and every setting has a description', () => {
  const { config, sources } = loadConfig();
  assert.equal(config.listen.port, 8150);
  assert.equal(config.domain, 'localhost');
  assert.equal(sources.size, 0);
  for (const leaf of LEAVES) assert.notEqual(leaf.description, '', leaf.path);
});

test('flags win over the environment, which wins over the file, which wins over defaults', () => {
  const path = file('listen: {port: 1, host: 0.0.0.0, maxConnections: 5}\nlog:\n  level: warn\n');
  const { config, sources } = loadConfig({
    file: path,
    env: { BURROW_RELAY_LISTEN__PORT: '2', BURROW_RELAY_LISTEN__MAX_CONNECTIONS: '6' },
    flags: { 'listen.port': '3' },
  });
  assert.deepEqual(
    [config.listen.port, config.listen.maxConnections, config.listen.host, config.log.level],
    [3, 6, '0.0.0.0', 'warn'],
  );
  assert.equal(sources.get('listen.port'), 'flag --listen-port');
  assert.equal(sources.get('listen.maxConnections'), 'env BURROW_RELAY_LISTEN__MAX_CONNECTIONS');
  assert.equal(sources.get('log.level'), `file ${path}`);
  assert.equal(sources.get('domain'), undefined);
});

test('the file may be named by the environment, and may be JSON', () => {
  const path = file('{"domain": "burrow.test"}');
  assert.equal(loadConfig({ env: { BURROW_CONFIG: path } }).config.domain, 'burrow.test');
});

const TEXTS: [name: string, env: Record<string, string>, path: string, value: unknown][] = [
  ['a number', { BURROW_RELAY_LISTEN__PORT: ' 443 ' }, 'listen.port', 443],
  ['yes', { BURROW_RELAY_LISTEN__PROXY_PROTOCOL: 'Yes' }, 'listen.proxyProtocol', true],
  ['off', { BURROW_RELAY_METRICS__ENABLED: 'off' }, 'metrics.enabled', false],
  [
    'a list',
    { BURROW_RELAY_LISTEN__TRUSTED_PROXIES: '10.0.0.0/8, ::1,' },
    'listen.trustedProxies',
    ['10.0.0.0/8', '::1'],
  ],
  ['an empty text is not set', { BURROW_RELAY_PUBLIC_URL: '' }, 'publicUrl', undefined],
];
for (const [name, env, path, value] of TEXTS) {
  test(`the environment holds text: ${name}`, () => {
    const { config } = loadConfig({ env });
    const found = path
      .split('.')
      .reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], config);
    assert.deepEqual(found, value);
  });
}

test("the agent's variable and those of Kubernetes services are nobody's settings", () => {
  loadConfig({
    env: {
      BURROW_RELAY_URL: 'http://x',
      BURROW_RELAY_SERVICE_HOST: '10.0.0.1',
      BURROW_RELAY_SERVICE_PORT_HTTP: '80',
      BURROW_RELAY_PORT: 'tcp://10.0.0.1:80',
      BURROW_RELAY_PORT_80_TCP_ADDR: '10.0.0.1',
    },
  });
});

const BAD: [name: string, input: LoadInput | (() => LoadInput), message: RegExp][] = [
  [
    'an unknown variable',
    { env: { BURROW_RELAY_LISTEN__PROT: '1' } },
    /BURROW_RELAY_LISTEN__PROT; did you mean BURROW_RELAY_LISTEN__PORT\?/,
  ],
  [
    'an unknown key',
    () => ({ file: file('lisen: {port: 1}') }),
    /unknown setting lisen; did you mean listen\? \(in file/,
  ],
  [
    'an unknown nested key',
    () => ({ file: file('listen: {prt: 1}') }),
    /unknown setting listen\.prt; did you mean listen\.port\?/,
  ],
  [
    'a key that resembles nothing',
    () => ({ file: file('zzzzzzzzzzzzzz: 1') }),
    /unknown setting zzzzzzzzzzzzzz \(in/,
  ],
  ['a section that is a value', () => ({ file: file('listen: 80') }), /listen must hold settings/],
  ['a file that is a list', () => ({ file: file('- a') }), /must hold settings/],
  ['broken YAML', () => ({ file: file('a: [') }), /not valid YAML or JSON/],
  ['a key given twice', () => ({ file: file('domain: a\ndomain: b') }), /not valid YAML/],
  [
    'no such file',
    { file: '/nonexistent/relay.yaml' },
    /cannot read the configuration file \/nonexistent/,
  ],
  [
    'a port that is no number',
    { flags: { 'listen.port': 'http' } },
    /listen\.port: .*number.*set by flag --listen-port/,
  ],
  [
    'a port out of range',
    { env: { BURROW_RELAY_LISTEN__PORT: '65536' } },
    /listen\.port: .*set by env BURROW_RELAY_LISTEN__PORT/,
  ],
  [
    'half a certificate',
    { flags: { 'listen.tls.certFile': 'a.pem' } },
    /certFile and keyFile belong together/,
  ],
  [
    'a range that is none',
    { flags: { 'listen.trustedProxies': '10.0.0.0/33' } },
    /listen\.trustedProxies.*range/,
  ],
  ['a domain with a port', { flags: { domain: 'a.test:80' } }, /domain: must be a DNS name/],
  [
    'a public URL with a path',
    { flags: { publicUrl: 'https://a.test/x' } },
    /publicUrl: must not have a path/,
  ],
  [
    'a public URL of another kind',
    { flags: { publicUrl: 'ftp://a.test' } },
    /publicUrl: must be an http/,
  ],
  [
    'link counts out of order',
    { flags: { 'agents.minLinks': 9, 'agents.maxLinks': 3 } },
    /minLinks <= maxLinks/,
  ],
  [
    'a dead peer that is noticed after a minute',
    { flags: { 'agents.pingAfterMs': 30_000, 'agents.pongWithinMs': 30_000 } },
    /agents: pingAfterMs \+ pongWithinMs must be at most 59000/,
  ],
  [
    'a cluster without a secret',
    { env: { BURROW_RELAY_CLUSTER__REDIS_URL: 'redis://127.0.0.1:6379' } },
    /cluster: with redisUrl, secret or secretFile is needed/,
  ],
  [
    'a short cluster secret',
    { env: { BURROW_RELAY_CLUSTER__SECRET: 'short' } },
    /cluster\.secret: must have at least 32 bytes/,
  ],
  [
    'a Redis of another kind',
    { env: { BURROW_RELAY_CLUSTER__REDIS_URL: 'http://127.0.0.1:6379' } },
    /cluster\.redisUrl: must be a redis:\/\/ or rediss:\/\/ URL/,
  ],
  [
    'a sentinel without a port',
    { flags: { 'cluster.sentinels': 'redis-1' } },
    /cluster\.sentinels.*must be host:port/,
  ],
  [
    'a peer address that nobody can dial',
    { flags: { 'cluster.peer.host': '0.0.0.0' } },
    /cluster\.peer: url is needed/,
  ],
  ['a short metrics token', { flags: { 'metrics.token': 'short' } }, /metrics\.token/],
];
for (const [name, input, message] of BAD) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => loadConfig(typeof input === 'function' ? input() : input),
      (error: unknown) => {
        assert.ok(error instanceof RelayError);
        assert.equal(error.code, 'config-invalid');
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test('by default a dead agent or relay is noticed within 15 s', () => {
  assert.ok(noticedWithinMs(loadConfig().config.agents) < 15_000);
});

test('all mistakes are told at once', () => {
  assert.throws(
    () => loadConfig({ env: { BURROW_RELAY_A: '1', BURROW_RELAY_B: '2' } }),
    /BURROW_RELAY_A[\s\S]*BURROW_RELAY_B/,
  );
});

test('the printed configuration names each source and hides secrets', () => {
  const loaded = loadConfig({
    env: {
      BURROW_RELAY_METRICS__TOKEN: 'a-very-secret-token',
      BURROW_RELAY_CLUSTER__REDIS_URL: 'redis://relay:a-very-secret-password@127.0.0.1:6379',
      BURROW_RELAY_CLUSTER__SECRET: 'a-very-secret-secret-of-the-cluster',
      BURROW_RELAY_DOMAIN: 'burrow.test',
    },
  });
  for (const text of [printYaml(loaded), printJson(loaded)])
    assert.ok(!text.includes('a-very-secret'));
  assert.match(printYaml(loaded), /^domain: burrow\.test # env BURROW_RELAY_DOMAIN$/m);
  assert.match(printYaml(loaded), /^ {2}port: 8150 # default$/m);
  const json = JSON.parse(printJson(loaded)) as Record<string, { value: unknown; source: string }>;
  assert.deepEqual(json['metrics.token'], {
    value: '<hidden>',
    source: 'env BURROW_RELAY_METRICS__TOKEN',
  });
  assert.deepEqual(json['listen.port'], { value: 8150, source: 'default' });
});

test('what is printed can be read again', () => {
  const loaded = loadConfig({
    flags: { 'listen.trustedProxies': 'loopback,10.0.0.0/8', domain: 'burrow.test' },
  });
  assert.deepEqual(loadConfig({ file: file(printYaml(loaded)) }).config, loaded.config);
});
