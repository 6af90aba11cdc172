import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { startBurrow } from './burrow.ts';

for (const tls of [false, true]) {
  test(`a request reaches an app behind an agent, ${tls ? 'over TLS' : 'plain'}`, async () => {
    const app = createServer((request, response) => {
      response.end(`${request.method} ${request.url}`);
    }).listen(0, '127.0.0.1');
    await once(app, 'listening');
    try {
      await using burrow = await startBurrow({ tls, workspace: 'demo' });
      await burrow.startAgent('demo');
      const { port } = app.address() as AddressInfo;
      const answer = await burrow.send(`${burrow.appUrl('demo', port)}/hello?x=1`);
      assert.equal(answer.text, 'GET /hello?x=1');
      assert.equal(answer.status, 200);
      const anonymous = await burrow.sendAnonymously(`${burrow.appUrl('demo', port)}/hello`);
      assert.equal(anonymous.status, 401);
    } finally {
      app.closeAllConnections();
      app.close();
    }
  });
}
