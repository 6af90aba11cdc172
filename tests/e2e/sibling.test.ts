/// <reference lib="dom" />
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { startBurrow } from '../harness/burrow.ts';
import { eventually } from '../harness/eventually.ts';
import { screenshot, startBrowser, withScreenshot } from './support/browser.ts';
import { Workbench } from './support/workbench.ts';

/** Runs in the attacking page: what becomes of each attempt. */
async function attack(editor: string): Promise<Record<string, string>> {
  const socket = (path: string): Promise<string> =>
    new Promise((resolve) => {
      const attempt = new WebSocket(`${editor.replace('https', 'wss')}${path}`);
      attempt.addEventListener('open', () => resolve('open'));
      attempt.addEventListener('error', () => resolve('refused'));
    });
  const read = (init: RequestInit): Promise<string> =>
    fetch(`${editor}/version`, { credentials: 'include', ...init }).then(
      async (response) => `${response.type} ${await response.text()}`,
      () => 'refused',
    );
  return {
    webSocket: await socket('/?reconnectionToken=1&reconnection=false&skipWebSocketFrames=false'),
    post: await read({ method: 'POST', body: 'x', mode: 'cors' }),
    get: await read({ mode: 'cors' }),
    // Sent, with cookies; nothing of the answer can be read.
    blindGet: await read({ mode: 'no-cors' }),
  };
}

/** Runs in the attacking page: cookies for all hosts of the domain. */
function plant(domain: string): void {
  for (const name of ['planted', '__Secure-burrow_nonce', '__Host-burrow_nonce']) {
    for (const path of ['/', '/.burrow/']) {
      document.cookie = `${name}=x; Domain=${domain}; Path=${path}; Secure`;
    }
  }
}

test("on one TLS domain, another workspace's page cannot reach the editor", async () => {
  let unsafe = 0;
  const upgrades: string[] = [];
  const victim = createServer((request, response) => {
    if (request.method !== 'GET') unsafe += 1;
    response.end('the secret of the victim');
  });
  victim.on('upgrade', (request, socket) => {
    upgrades.push(request.url ?? '');
    // Its refusal may cross the page's leaving.
    socket.on('error', () => {});
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
  });
  const attacker = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<title>attacker</title><h1>A page of another workspace</h1>');
  });
  for (const server of [victim, attacker]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const portOf = (server: typeof victim): number => (server.address() as AddressInfo).port;

  try {
    await using burrow = await startBurrow({ tls: true, local: true, workspace: 'attacker' });
    await burrow.startAgent('attacker');
    await burrow.createWorkspace('editor', { driver: 'local' });
    await eventually(
      'the editor runs',
      async () => (await burrow.showWorkspace('editor')).state === 'running',
      30_000,
    );
    await using browser = await startBrowser({ domain: burrow.domain });
    const person = await browser.person();

    const page = await person.newPage();
    await withScreenshot(page, 'sibling', async () => {
      // The person uses the editor: its cookies are in the browser.
      await page.goto(await burrow.signInLink());
      await page.goto(burrow.appUrl('editor'));
      await new Workbench(page).ready();
      await screenshot(page, '8-editor-on-tls');
      // An app of the editor's workspace whose upgrades and unsafe requests are counted.
      await page.goto(burrow.appUrl('editor', portOf(victim)));
      assert.equal(await page.locator('body').innerText(), 'the secret of the victim');

      await page.goto(burrow.appUrl('attacker', portOf(attacker)));
      await page.getByRole('heading', { name: 'A page of another workspace' }).waitFor();
      assert.deepEqual(await page.evaluate(attack, burrow.appUrl('editor')), {
        webSocket: 'refused',
        post: 'refused',
        get: 'refused',
        blindGet: 'opaque ',
      });
      await page.evaluate(plant, burrow.domain);
      const names = (await person.cookies(burrow.appUrl('editor'))).map(({ name }) => name);
      assert.ok(names.includes('planted'), 'cookies of a sibling do reach the editor');
      assert.deepEqual(
        names.filter((name) => /burrow_nonce/.test(name)),
        ['__Secure-burrow_nonce'],
        'but the name that counts cannot be planted',
      );

      const app = burrow.appUrl('editor', portOf(victim));
      const onApp = await page.evaluate(attack, app);
      assert.equal(onApp['webSocket'], 'refused');
      assert.equal(onApp['post'], 'refused');
      assert.equal(onApp['get'], 'refused');
      assert.deepEqual(upgrades, [], 'no upgrade reached the app');
      assert.equal(unsafe, 0, 'no unsafe request reached the app');

      // The same socket from the app's own page does reach it.
      await page.goto(app);
      await page.evaluate(attack, app);
      assert.equal(upgrades.length, 1);
    });
  } finally {
    for (const server of [victim, attacker]) {
      server.closeAllConnections();
      server.close();
    }
  }
});
