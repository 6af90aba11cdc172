import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TunnelError } from '@burrow/tunnel';
import { RelayError, RELAY_ERROR_CODES } from '../../errors.ts';
import { errorResponse } from './error-response.ts';
import { explainFailure } from './explain-failure.ts';
import { TUNNEL_CODES } from './failures.ts';
import { headerOf, policyWorld, requestHead, workspaceRoute } from './testing.ts';

const page = requestHead({ headers: { 'sec-fetch-mode': 'navigate' } });
const NOW = 1_800_000_000_000;

for (const code of RELAY_ERROR_CODES) {
  test(`${code} has a page and a JSON form that say who, why and what next`, () => {
    const shown = errorResponse(page, { code });
    assert.equal(headerOf(shown, 'content-type'), 'text/html; charset=utf-8');
    assert.match(String(shown.body), /<h1>.+<\/h1>/);
    assert.match(String(shown.body), /req1/);
    const json = errorResponse(requestHead(), { code });
    assert.equal(json.status, shown.status);
    const { error } = JSON.parse(String(json.body)) as { error: Record<string, string> };
    assert.equal(error['code'], code);
    for (const field of ['message', 'blame', 'next', 'requestId']) assert.ok(error[field], field);
  });
}

test('every code of the tunnel is explained', async () => {
  const { policy } = await policyWorld();
  for (const code of TUNNEL_CODES) {
    const response = policy.failure(page, new TunnelError(code, 'It broke.'), {
      route: workspaceRoute(),
      port: 3000,
    });
    assert.ok(response.status >= 400, code);
  }
});

test('pages escape what came from outside', () => {
  const evil = `<script>alert(1)</script>"'&`;
  const response = errorResponse(requestHead({ id: evil, headers: { accept: 'text/html' } }), {
    code: 'upstream-failed',
    message: evil,
    title: evil,
    next: evil,
  });
  assert.equal(String(response.body).includes('<script'), false);
  assert.match(String(response.body), /&lt;script&gt;alert\(1\)&lt;\/script&gt;&quot;&#39;&amp;/);
});

test('an inner failure shows none of its details', () => {
  const response = errorResponse(requestHead(), {
    ...explainFailure(new RelayError('internal', 'SELECT secret FROM /var/lib'), {}, NOW),
  });
  assert.doesNotMatch(String(response.body), /SELECT|\/var/);
});

const ABOUT_AGENT: readonly (readonly [
  name: string,
  over: Parameters<typeof workspaceRoute>[0],
  expected: RegExp,
  waiting: boolean,
])[] = [
  ['starting', { state: 'starting' }, /workspace-starting.*“demo” is starting/s, true],
  ['never connected', {}, /agent-never-connected.*never connected/s, true],
  ['gone for 42 s', { agentLastSeen: NOW - 42_000 }, /agent-disconnected.*42 s ago/s, true],
  ['gone for 3 h', { agentLastSeen: NOW - 3 * 3600_000 }, /agent-disconnected.*3 h ago/s, false],
  ['stopped', { state: 'stopped' }, /workspace-stopped.*is stopped/s, false],
  ['failed', { state: 'failed' }, /workspace-stopped.*could not be started/s, false],
];
for (const [name, over, expected, waiting] of ABOUT_AGENT) {
  test(`an agent that is ${name} is told so`, () => {
    const answer = explainFailure(
      new RelayError('agent-disconnected', 'No link.'),
      { route: workspaceRoute(over), port: 3000 },
      NOW,
    );
    const json = errorResponse(requestHead(), answer);
    assert.match(String(json.body), expected);
    assert.equal(json.status, 503);
    assert.equal(headerOf(json, 'burrow-status'), waiting ? 'waiting' : undefined);
    assert.equal(headerOf(json, 'retry-after') !== undefined, waiting);
    assert.equal(String(errorResponse(page, answer).body).includes('<script'), waiting);
  });
}

test('a waiting page runs its own script only, and works without scripts', () => {
  const response = errorResponse(page, { code: 'workspace-starting', waiting: true });
  const csp = headerOf(response, 'content-security-policy') ?? '';
  const nonce = /script-src 'nonce-([^']+)'/.exec(csp)?.[1] ?? '?';
  assert.match(csp, /default-src 'none'/);
  assert.ok(String(response.body).includes(`<script nonce="${nonce}">`));
  assert.match(
    String(response.body),
    /<noscript\s*>\s*<meta http-equiv="refresh" content="3"\s*\/?>\s*<\/noscript>/,
  );
});

test('nothing listens: the port is named', () => {
  const error = new TunnelError('nothing-listens', 'connection refused', { remote: true });
  const answer = explainFailure(error, { route: workspaceRoute(), port: 3000 }, NOW);
  const response = errorResponse(requestHead(), answer);
  assert.equal(response.status, 502);
  assert.match(String(response.body), /no program in it listens on port 3000/);
});

test('a limit says when to try again', () => {
  const answer = explainFailure(new TunnelError('limit', 'Too many channels.'), {}, NOW);
  const response = errorResponse(requestHead(), answer);
  assert.equal(response.status, 429);
  assert.equal(headerOf(response, 'retry-after'), '1');
});

test('errors are kept by no cache', () => {
  assert.equal(headerOf(errorResponse(page, { code: 'insecure' }), 'cache-control'), 'no-store');
});

test('an unparsable request is answered in plain words', async () => {
  const { policy } = await policyWorld();
  const response = policy.badRequest(431, 'The header is larger than 64 KiB.');
  assert.equal(response.status, 431);
  assert.match(String(response.body), /larger than 64 KiB/);
});
