import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { EXIT } from '../cli-error.ts';
import { readLines } from './lines.ts';

/** Reads what a server answers to; `path` as it came. */
async function reading(t: TestContext, listener: RequestListener, silentMs = 5_000) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const lines: string[] = [];
  const stopped = new AbortController();
  const done = readLines(
    { url: new URL(`http://127.0.0.1:${port}`), token: 'secret-token' },
    '/x',
    {
      onLine: (line) => void lines.push(line),
      silentMs,
      signal: stopped.signal,
    },
  );
  return { lines, done, stopped };
}

test('lines come one by one, empty ones left out, however they are cut', async (t) => {
  const { lines, done } = await reading(t, (request, response) => {
    assert.equal(request.headers.authorization, 'Bearer secret-token');
    response.write('one\n\ntw');
    setImmediate(() => response.end('o\nthree\n'));
  });
  await done;
  assert.deepEqual(lines, ['one', 'two', 'three']);
});

test('a refusal is the relay’s own sentence', async (t) => {
  const { lines, done } = await reading(t, (_request, response) => {
    const error = { code: 'not-found', message: 'No relay carries it.', blame: 'client' };
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { ...error, requestId: '1' } }, undefined, 1));
  });
  await assert.rejects(done, { message: 'No relay carries it.', exitCode: EXIT.notFound });
  assert.deepEqual(lines, []);
});

test('an answer that breaks off, or falls silent, is told as that', async (t) => {
  const broken = await reading(t, (_request, response) => {
    response.write('one\n', () => response.destroy());
  });
  await assert.rejects(broken.done, { exitCode: EXIT.unreachable, message: /was lost: aborted/ });
  assert.deepEqual(broken.lines, ['one']);
  const silent = await reading(t, (_request, response) => void response.write('one\n'), 50);
  await assert.rejects(silent.done, {
    exitCode: EXIT.unreachable,
    message: /it has fallen silent/,
  });
});

test('whoever has read enough ends it', async (t) => {
  const reason = new Error('enough');
  const { done, stopped } = await reading(t, (_request, response) => {
    response.write('one\n');
    setImmediate(() => stopped.abort(reason));
  });
  await assert.rejects(done, reason);
});

test('what is in no lines is not kept', async (t) => {
  const { done } = await reading(t, (_request, response) => {
    response.end('x'.repeat(100_000));
  });
  await assert.rejects(done, { exitCode: EXIT.unreachable, message: /not in lines/ });
});
