import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import type { ChannelQuery } from '@burrow/api';
import { RelayError } from '../../errors.ts';
import type { TraceRequest } from '../../trace/contracts.ts';
import type { ControlContext } from '../context.ts';
import { testControl } from '../testing.ts';

const UID = 'ab'.repeat(16);
const LAST = {
  ...{ event: 'over', at: '2026-01-01T00:00:00.000Z', relay: 'r1', code: null, reason: 'Done.' },
};

class FakeTracing {
  readonly queries: ChannelQuery[] = [];
  readonly requests: TraceRequest[] = [];

  readonly list: ControlContext['tracing']['list'] = async (query) => {
    this.queries.push(query);
    return { channels: [], more: false, problems: [{ relay: 'r2', problem: 'It sleeps.' }] };
  };

  readonly trace: ControlContext['tracing']['trace'] = async (request) => {
    this.requests.push(request);
    const lines = new PassThrough();
    lines.end(`${JSON.stringify(LAST)}\n`);
    return { id: UID, workspace: 'demo', user: 'alice', lines };
  };
}

describe('GET /cluster/channels', () => {
  it('lists what is asked for', async () => {
    const tracing = new FakeTracing();
    await using t = await testControl({ tracing });
    const { status, body } = await t.call(
      t.root,
      'GET',
      '/cluster/channels?workspace=demo&relay=r1&limit=5',
    );
    assert.equal(status, 200);
    assert.deepEqual(body.problems, [{ relay: 'r2', problem: 'It sleeps.' }]);
    assert.deepEqual(tracing.queries, [{ workspace: 'demo', relay: 'r1', limit: 5 }]);
    assert.equal((await t.call(t.root, 'GET', '/cluster/channels?limit=1001')).status, 400);
  });

  it('is for administrators, and so is a trace', async () => {
    const tracing = new FakeTracing();
    await using t = await testControl({ tracing });
    for (const path of ['/cluster/channels', `/cluster/channels/${UID}/trace`]) {
      assert.equal((await t.call(t.alice, 'GET', path)).status, 403, path);
      assert.equal((await t.call(undefined, 'GET', path)).status, 401, path);
    }
    assert.deepEqual([tracing.queries, tracing.requests, t.audited], [[], [], []]);
  });
});

describe('GET /cluster/channels/{id}/trace', () => {
  it('streams lines, and writes down who watched what', async () => {
    const tracing = new FakeTracing();
    await using t = await testControl({ tracing });
    const answer = await t.call(t.root, 'GET', '/cluster/channels/abab/trace?data=false');
    assert.equal(answer.status, 200);
    assert.match(String(answer.headers['content-type']), /^application\/x-ndjson/);
    assert.deepEqual(answer.body, LAST);
    const [request] = tracing.requests;
    assert.deepEqual([request?.id, request?.data], ['abab', false]);
    assert.equal(await request?.mayWatch(), true);
    const [event] = t.audited;
    assert.deepEqual(
      [event?.action, event?.outcome, event?.username, event?.workspace, event?.channel],
      ['channel.traced', 'ok', 'root', 'demo', UID],
    );
    assert.match(event?.detail ?? '', /alice/);
  });

  it('knows when its watcher has lost the right, and when nobody can say', async () => {
    const tracing = new FakeTracing();
    let refusal: Error | undefined;
    const who = { userId: 'u1', username: 'eve', admin: true };
    await using t = await testControl({
      tracing,
      async authenticate() {
        if (refusal !== undefined) throw refusal;
        return { ...who };
      },
    });
    await t.call(t.root, 'GET', `/cluster/channels/${UID}/trace`);
    const mayWatch = tracing.requests[0]!.mayWatch;
    assert.equal(await mayWatch(), true);
    who.admin = false;
    assert.equal(await mayWatch(), false);
    refusal = new RelayError('unauthenticated', 'The token is revoked.');
    assert.equal(await mayWatch(), false);
    refusal = new RelayError('unavailable', 'The database does not answer.');
    await assert.rejects(mayWatch(), refusal);
  });

  it('says what is wrong, and writes nothing down', async () => {
    const { list } = new FakeTracing();
    const trace = async (): Promise<never> => {
      throw new RelayError('conflict', 'Several channels begin with “abab”.', { blame: 'client' });
    };
    await using t = await testControl({ tracing: { list, trace } });
    const refused = await t.call(t.root, 'GET', '/cluster/channels/abab/trace');
    assert.deepEqual([refused.status, refused.body.error.code], [409, 'conflict']);
    for (const id of ['abc', 'xyz0', 'ab'.repeat(17)]) {
      assert.equal((await t.call(t.root, 'GET', `/cluster/channels/${id}/trace`)).status, 400, id);
    }
    assert.deepEqual(t.audited, []);
  });
});
