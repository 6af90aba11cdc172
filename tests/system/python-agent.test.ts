// The wire is plain gRPC: an agent in another language, made from tunnel.proto alone, serves requests.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { startBurrow } from '../harness/burrow.ts';
import { eventually } from '../harness/eventually.ts';

/** Debian's own, for which python3-grpcio and python3-grpc-tools are packaged. */
const PYTHON = '/usr/bin/python3';
const PROTO = join(import.meta.dirname, '../../packages/tunnel/proto');

function stubs(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-python-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  execFileSync(PYTHON, [
    ...[
      '-m',
      'grpc_tools.protoc',
      '-I',
      PROTO,
      `--python_out=${folder}`,
      `--grpc_python_out=${folder}`,
    ],
    'burrow/tunnel/v1/tunnel.proto',
  ]);
  return folder;
}

function startPython(t: TestContext, folder: string, env: Readonly<Record<string, string>>) {
  const child = spawn(PYTHON, [join(import.meta.dirname, 'python-agent.py'), folder], {
    env: { PATH: process.env['PATH'] ?? '', PYTHONUNBUFFERED: '1', ...env },
  });
  let said = '';
  child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
  t.after(async () => {
    if (child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  });
  return { child, said: () => said };
}

test(
  'an agent in Python serves requests, with flow control both ways',
  { timeout: 60_000 },
  async (t) => {
    await using burrow = await startBurrow();
    const { environment } = await burrow.createWorkspace('python');
    assert.ok(environment);
    const agent = startPython(t, stubs(t), {
      ...environment,
      BURROW_RELAY_URL: `http://127.0.0.1:${burrow.port}`,
    });
    await eventually('the Python agent is welcome', () => agent.said().includes('welcome python'));

    const app = createServer((request, response) => {
      const hash = createHash('sha256');
      const big = Buffer.alloc(3_000_000, 'from the app ');
      request.on('data', (bytes: Buffer) => hash.update(bytes));
      request.on('end', () => {
        response.setHeader('x-got', hash.digest('hex'));
        response.end(request.url === '/big' ? big : 'hello from behind Python');
      });
    });
    app.listen(0, '127.0.0.1');
    t.after(() => app.close());
    await once(app, 'listening');
    const url = burrow.appUrl('python', (app.address() as AddressInfo).port);

    const small = await burrow.send(`${url}/`);
    assert.equal(small.status, 200);
    assert.equal(small.text, 'hello from behind Python');

    // More than one window (256 KiB) each way.
    const body = randomBytes(2_000_000);
    const big = await burrow.send(`${url}/big`, { method: 'POST', body });
    assert.equal(big.status, 200);
    assert.equal(big.headers['x-got'], createHash('sha256').update(body).digest('hex'));
    assert.ok(big.body.equals(Buffer.alloc(3_000_000, 'from the app ')));

    const nobody = await burrow.send(burrow.appUrl('python', 1));
    assert.equal(nobody.status, 502);
    const shown = await burrow.showWorkspace('python');
    assert.equal(shown.agent?.software, 'python-agent/1');
  },
);

test('a refused agent in Python reads why in the gRPC status', { timeout: 60_000 }, async (t) => {
  await using burrow = await startBurrow();
  const agent = startPython(t, stubs(t), {
    BURROW_RELAY_URL: `http://127.0.0.1:${burrow.port}`,
    BURROW_AGENT_TOKEN: `burrow_agt_${'A'.repeat(43)}`,
  });
  await eventually('the refusal', () =>
    agent.said().includes('refused UNAUTHENTICATED token-unknown'),
  );
});
