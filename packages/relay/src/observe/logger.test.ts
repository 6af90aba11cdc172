import assert from 'node:assert/strict';
import { test } from 'node:test';
import { censor } from './censor.ts';
import { createLogger } from './logger.ts';
import { prettyLine } from './pretty.ts';

const AGENT = `burrow_agt_${'A-z0_'.repeat(8)}abc`;
const ACCESS = `burrow_pat_${'x'.repeat(43)}`;

function lines(
  write: (logger: ReturnType<typeof createLogger>['logger']) => void,
  pretty: 'always' | 'never' = 'never',
): string {
  let out = '';
  const { logger } = createLogger({
    level: 'trace',
    pretty,
    destination: { write: (line) => (out += line) },
  });
  write(logger);
  return out;
}

const LEAKS: [name: string, write: (logger: ReturnType<typeof createLogger>['logger']) => void][] =
  [
    ['in the message', (log) => log.info(`refused ${AGENT}`)],
    ['in a field', (log) => log.info({ what: ACCESS }, 'x')],
    ['in a field named token', (log) => log.info({ token: 'plain-secret' }, 'x')],
    [
      'in a nested header',
      (log) =>
        log.info({ headers: { authorization: 'plain-secret', cookie: 'plain-secret' } }, 'x'),
    ],
    [
      'in a deeper header',
      (log) => log.info({ request: { headers: { 'burrow-authorization': 'plain-secret' } } }, 'x'),
    ],
    ['in an error', (log) => log.error({ err: new Error(`bad ${AGENT}`) }, 'x')],
    [
      "in an error's cause",
      (log) => log.error({ err: new Error('outer', { cause: new Error(ACCESS) }) }, 'x'),
    ],
    [
      'in a URL',
      (log) =>
        log.info({ url: '/sign-in?code=plain-secret&x=1' }, 'GET /sign-in?code=plain-secret'),
    ],
    ['in a header line', (log) => log.info('authorization: Bearer plain-secret-of-an-app')],
  ];
for (const pretty of ['never', 'always'] as const) {
  for (const [name, write] of LEAKS) {
    test(`no secret passes ${name} (pretty: ${pretty})`, () => {
      const out = lines(write, pretty);
      assert.notEqual(out, '');
      for (const secret of [AGENT, ACCESS, 'plain-secret']) assert.ok(!out.includes(secret), out);
    });
  }
}

test('a line is one JSON object with level, time and message', () => {
  const record = JSON.parse(lines((log) => log.warn({ agentId: 'a1' }, 'two\nlines'))) as Record<
    string,
    unknown
  >;
  assert.deepEqual([record['level'], record['msg'], record['agentId']], [40, 'two\nlines', 'a1']);
  assert.equal(typeof record['time'], 'number');
});

test('lines for people hold the fields, and no control character of others', () => {
  const out = prettyLine(
    JSON.stringify({ level: 30, time: 0, msg: 'a\u001b[31mb', link: 'x1', reason: 'two words' }),
    false,
  );
  assert.match(out, /^\d\d:\d\d:\d\d info {2}a \[31mb link=x1 reason="two words"\n$/);
  assert.equal(prettyLine('no json\n', true), 'no json\n');
});

test('what is no secret stays', () => {
  for (const text of ['burrow_relay', 'the bearer of news', 'code=1', 'token-unknown'])
    assert.equal(censor(text), text);
});
