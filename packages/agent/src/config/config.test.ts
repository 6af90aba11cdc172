import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConfigError, readConfig } from './config.ts';
import { helpText } from './help.ts';
import { PortRanges } from './port-ranges.ts';
import { SETTINGS } from './settings.ts';

const TOKEN = `burrow_agt_${'a'.repeat(43)}`;
const base = () => ({ BURROW_RELAY_URL: 'https://relay.test', BURROW_AGENT_TOKEN: TOKEN });

function failure(argv: string[], env: NodeJS.ProcessEnv): string {
  try {
    readConfig(argv, env);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  assert.fail('accepted');
}

test('defaults: ports 1024-65535, no unix socket, gRPC with fallback', () => {
  const config = readConfig([], base());
  assert.equal(config.relayUrl.origin, 'https://relay.test');
  assert.equal(config.allow.toString(), '1024-65535');
  assert.deepEqual(config.allowUnix, []);
  assert.equal(config.transport, 'auto');
  assert.equal(config.drainTimeoutMs, 30_000);
});

test('the token leaves the environment, whatever happens next', () => {
  const env = base();
  readConfig([], env);
  assert.ok(!('BURROW_AGENT_TOKEN' in env));
  const bad = base();
  failure(['--nonsense'], bad);
  assert.ok(!('BURROW_AGENT_TOKEN' in bad));
});

test('flags win over the environment, in both forms', () => {
  const config = readConfig(['--allow=3000', '--transport', 'websocket'], {
    ...base(),
    BURROW_AGENT_ALLOW: '4000',
  });
  assert.equal(config.allow.toString(), '3000');
  assert.equal(config.transport, 'websocket');
});

test('every mistake is named by its source', () => {
  const cases: [string[], NodeJS.ProcessEnv, RegExp][] = [
    [[], { BURROW_AGENT_TOKEN: TOKEN }, /No relay is named: set BURROW_RELAY_URL/],
    [[], { BURROW_RELAY_URL: 'https://r.test' }, /No token is given: set BURROW_AGENT_TOKEN/],
    [['--nonsense'], base(), /Unknown flag "--nonsense"/],
    [['extra'], base(), /Unexpected argument/],
    [['--allow'], base(), /--allow needs a value/],
    [['--allow=1', '--allow=2'], base(), /--allow is given twice/],
    [['--allow=0-5'], base(), /--allow is wrong: "0-5" leaves the range/],
    [['--allow=9-5'], base(), /ends before it begins/],
    [['--transport=quic'], base(), /--transport is wrong: use one of auto, grpc, websocket/],
    [['--min-links=3', '--max-links=2'], base(), /is over BURROW_AGENT_MAX_LINKS/],
    [['--allow-unix=relative'], base(), /no absolute path/],
    [[], { ...base(), BURROW_RELAY_URL: 'ftp://r.test' }, /BURROW_RELAY_URL is wrong: use a URL/],
    [[], { ...base(), BURROW_RELAY_URL: 'https://u:p@r.test' }, /no user name or password/],
    [[], { ...base(), BURROW_RELAY_URL: 'https://r.test/path' }, /must end after the host/],
    [[], { ...base(), BURROW_AGENT_LOG_LEVEL: 'loud' }, /BURROW_AGENT_LOG_LEVEL is wrong/],
    [[], { ...base(), BURROW_AGENT_MIN_LINKS: '2.5' }, /use a whole number, 1 to 16/],
    [
      [],
      { ...base(), BURROW_AGENT_TOKEN: 'burrow_pat_secretsecretsecret' },
      /personal access token/,
    ],
    [[], { ...base(), BURROW_AGENT_TOKEN: 'secret' }, /holds no agent token/],
    [['--token-file=/nowhere/t'], { BURROW_RELAY_URL: 'https://r.test' }, /cannot be read/],
    [['--token-file=/nowhere/t'], base(), /Both BURROW_AGENT_TOKEN and a token file/],
    [['--ca-file=/nowhere/ca'], base(), /certificate authorities \/nowhere\/ca cannot be read/],
  ];
  for (const [argv, env, expected] of cases) assert.match(failure(argv, { ...env }), expected);
});

test('no message repeats a secret', () => {
  const secret = 'burrow_agt_SECRETSECRETSECRET';
  for (const argv of [[`--token=${secret}`], ['--token', secret], [secret]]) {
    assert.ok(!failure(argv, base()).includes('SECRET'));
  }
  const damaged = failure([], { ...base(), BURROW_AGENT_TOKEN: `${secret} ${secret}` });
  assert.ok(!damaged.includes('SECRET'));
});

test('token and authorities come from files', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-agent-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'token');
  writeFileSync(file, `${TOKEN}\n`);
  const config = readConfig(['--token-file', file], { BURROW_RELAY_URL: 'http://127.0.0.1:1' });
  assert.equal(config.token, TOKEN);
  writeFileSync(file, 'x'.repeat(5000));
  assert.match(
    failure(['--token-file', file], { BURROW_RELAY_URL: 'http://127.0.0.1:1' }),
    /larger than 4096 bytes/,
  );
  writeFileSync(file, 'no pem');
  assert.match(failure(['--ca-file', file], base()), /holds no PEM certificate/);
  writeFileSync(file, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----');
  assert.match(failure(['--ca-file', file], base()), /Certificate 1 in .* cannot be read/);
});

test('a mistyped variable is a warning, an empty one is as if not set', () => {
  const config = readConfig([], { ...base(), BURROW_AGENT_ALOW: '1', BURROW_AGENT_ALLOW: '' });
  assert.deepEqual(config.warnings.length, 1);
  assert.match(config.warnings[0] ?? '', /BURROW_AGENT_ALOW is not known/);
});

test('help names every flag and variable', () => {
  const help = helpText();
  for (const { flag, env } of Object.values(SETTINGS)) {
    assert.ok(help.includes(env));
    if (flag) assert.ok(help.includes(flag));
  }
  assert.ok(!/--token[ =]/.test(help));
});

test('port ranges allow exactly what their text says', () => {
  const port = fc.integer({ min: 1, max: 65535 });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(port, port), { minLength: 1, maxLength: 5 }),
      port,
      (pairs, probe) => {
        const sorted = pairs.map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
        const ranges = PortRanges.parse(sorted.map(([a, b]) => `${a}-${b}`).join(', '));
        assert.equal(
          ranges.has(probe),
          sorted.some(([a, b]) => probe >= a && probe <= b),
        );
        assert.equal(PortRanges.parse(ranges.toString()).has(probe), ranges.has(probe));
      },
    ),
  );
  assert.equal(PortRanges.parse('none').has(3000), false);
});
