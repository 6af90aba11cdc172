import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ApiError } from './api-error.ts';
import { createClient } from './client.ts';

interface Sent {
  url: string;
  method: string;
  headers: Record<string, string>;
  body: unknown;
}

function answering(status: number, body: unknown) {
  const sent: Sent[] = [];
  const fake = async (url: string, init: RequestInit = {}) => {
    sent.push({
      url,
      method: init.method ?? 'GET',
      headers: init.headers as Record<string, string>,
      body: init.body === undefined ? undefined : JSON.parse(init.body as string),
    });
    return new Response(
      status === 204 ? null : typeof body === 'string' ? body : JSON.stringify(body),
      { status },
    );
  };
  const client = createClient({
    baseUrl: 'http://relay.test/',
    token: 'burrow_pat_x',
    fetch: fake as unknown as typeof fetch,
  });
  return { client, sent };
}

const workspace = {
  id: '1',
  name: 'web',
  url: 'http://web.relay.test',
  state: 'running',
  driver: 'external',
  editorPort: 60_001,
  createdAt: '2026-01-01T00:00:00.000Z',
  agent: null,
  ssh: { server: 'none', hostKey: null, user: null },
};

describe('the client', () => {
  it('sends what each call means', async () => {
    const { client, sent } = answering(200, { ...workspace, workspaces: [workspace] });
    assert.deepEqual(await client.workspaces.list(), [workspace]);
    await client.workspaces.show('web');
    await client.workspaces.create({ driver: 'external', ports: [{ port: 80 }] });
    assert.deepEqual(
      sent.map(({ method, url, body }) => [method, url, body]),
      [
        ['GET', 'http://relay.test/api/v1/workspaces', undefined],
        ['GET', 'http://relay.test/api/v1/workspaces/web', undefined],
        [
          'POST',
          'http://relay.test/api/v1/workspaces',
          { driver: 'external', ports: [{ port: 80 }] },
        ],
      ],
    );
    assert.equal(sent[0]!.headers['authorization'], 'Bearer burrow_pat_x');
    assert.equal(sent[0]!.headers['content-type'], undefined);
  });

  it('takes an empty answer where one is due, and escapes names', async () => {
    const { client, sent } = answering(204, undefined);
    await client.workspaces.terminate('a/b?c');
    assert.equal(sent[0]!.url, 'http://relay.test/api/v1/workspaces/a%2Fb%3Fc');
  });

  it('turns an error into ApiError', async () => {
    const error = {
      code: 'conflict',
      message: 'taken',
      blame: 'client',
      requestId: 'abc',
      details: [{ path: 'body.name', message: 'is taken' }],
    };
    const { client } = answering(409, { error });
    await assert.rejects(client.workspaces.create({ driver: 'external' }), (thrown) => {
      assert.ok(thrown instanceof ApiError);
      const { status, code, message, requestId, details } = thrown;
      assert.deepEqual(
        { status, code, message, requestId, details },
        {
          status: 409,
          code: 'conflict',
          message: 'taken',
          requestId: 'abc',
          details: error.details,
        },
      );
      return true;
    });
  });

  it('says so when the answer is not a relay’s', async () => {
    for (const [status, body] of [
      [502, '<html>Bad gateway</html>'],
      [200, { hello: 'world' }],
      [200, 'not json'],
    ] as const) {
      const { client } = answering(status, body);
      await assert.rejects(client.user.show(), { name: 'ApiError', code: 'not-a-relay', status });
    }
  });

  it('says so when nobody answers, and obeys its caller’s signal', async () => {
    const refused = createClient({
      baseUrl: 'http://relay.test',
      fetch: (() => Promise.reject(new TypeError('fetch failed'))) as typeof fetch,
    });
    await assert.rejects(refused.user.show(), { code: 'no-answer', status: 0 });
    const hanging = ((_url: unknown, init: RequestInit) =>
      new Promise((_resolve, reject) => {
        init.signal!.addEventListener('abort', () => reject(init.signal!.reason));
      })) as typeof fetch;
    const slow = createClient({ baseUrl: 'http://relay.test', fetch: hanging, timeoutMs: 20 });
    await assert.rejects(slow.user.show(), { code: 'no-answer', message: /in time/ });
    const abort = new AbortController();
    const call = slow.user.show({ signal: abort.signal });
    const reason = new Error('enough');
    abort.abort(reason);
    await assert.rejects(call, reason);
  });
});
