// Agents live as long as their workloads: those of earlier versions must work with today's relay.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { startBurrow } from '../harness/burrow.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/agents');
const kept = readdirSync(FOLDER).filter((name) => name.endsWith('.mjs'));

test('there are kept agents', () => assert.ok(kept.length > 0));

for (const file of kept) {
  test(`${file} serves requests, in both directions and in bulk, and drains`, async (t) => {
    const server = createServer((request, response) => {
      if (request.method === 'GET') response.end(Buffer.alloc(2_000_000, 'd'));
      else {
        let bytes = 0;
        request.on('data', (chunk: Buffer) => (bytes += chunk.length));
        request.on('end', () => response.end(String(bytes)));
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo;
    await using burrow = await startBurrow({ workspace: 'kept' });
    const agent = await burrow.startAgent('kept', {}, join(FOLDER, file));
    const url = burrow.appUrl('kept', port);
    const down = await burrow.send(url);
    assert.deepEqual([down.status, down.text.length], [200, 2_000_000]);
    const up = await burrow.send(url, { method: 'POST', body: 'u'.repeat(2_000_000) });
    assert.deepEqual([up.status, up.text], [200, '2000000']);
    agent.kill('SIGTERM');
    assert.equal(await agent.exited, 0);
  });
}
