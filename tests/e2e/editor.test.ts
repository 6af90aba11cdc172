/// <reference lib="dom" />
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { listeningSockets, socketInodes } from '../../scripts/lib/listening-sockets.ts';
import { eventually } from '../harness/eventually.ts';
import { npmStart, type Started } from '../harness/npm-start.ts';
import { processesIn } from '../harness/processes.ts';
import { screenshot, startBrowser, withScreenshot } from './support/browser.ts';
import { makeReadable } from './support/editor-settings.ts';
import { Workbench } from './support/workbench.ts';

const stack = new AsyncDisposableStack();
let burrow: Started;
let page: Page;
let workbench: Workbench;
let projects: string;

before(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'burrow-e2e-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  burrow = stack.use(await npmStart(folder, ['--port', '0']));
  projects = join(burrow.dataDir, 'workspaces/demo/projects');
  await makeReadable(burrow.dataDir, 'demo');
  const browser = stack.use(await startBrowser());
  page = await (await browser.person()).newPage();
  workbench = new Workbench(page);
});

after(() => stack.disposeAsync());

/** A test whose failure leaves a picture, and tells what the processes behind it said. */
function scene(name: string, work: () => Promise<void>): void {
  test(name, async (t) => {
    try {
      await withScreenshot(page, name.replaceAll(/\W+/g, '-'), work);
    } catch (error) {
      t.diagnostic(burrow.output.slice(-2_000));
      for (const log of ['agent', 'editor']) {
        const path = join(burrow.dataDir, `workspaces/demo/logs/${log}.log`);
        t.diagnostic(`${log}: ${(await readFile(path, 'utf8').catch(String)).slice(-4_000)}`);
      }
      throw error;
    }
  });
}

const onDisk = (name: string): Promise<string> => readFile(join(projects, name), 'utf8');

scene('the printed link signs in and leads to VS Code', async () => {
  assert.ok(burrow.ready.workspace);
  await page.goto(burrow.ready.url);
  await workbench.ready();
  assert.equal(new URL(page.url()).host, new URL(burrow.ready.workspace.url).host);
  assert.ok(!page.url().includes('code='), 'no code stays in the address bar');
  await screenshot(page, '1-workbench');
});

scene('a command in the terminal runs in the workspace', async () => {
  await workbench.openTerminal();
  await workbench.type('echo "$((6 * 7)) burrows" | tee terminal.txt; echo "$VSCODE_PROXY_URI"');
  await workbench.terminalShows(/^42 burrows$/m);
  assert.equal(await onDisk('terminal.txt'), '42 burrows\n');
  const { port } = new URL(burrow.ready.api);
  await workbench.terminalShows(new RegExp(`http://\\{\\{port\\}\\}-demo\\.localhost:${port}/`));
  await screenshot(page, '2-terminal');
});

scene('an edited file is saved to disk', async () => {
  await workbench.openFile('README.md');
  await workbench.appendAndSave('Written in a browser, far away.');
  await eventually('the file on disk has the new line', async () =>
    (await onDisk('README.md')).endsWith('Written in a browser, far away.'),
  );
  await screenshot(page, '3-edited');
});

scene('the Markdown preview opens, with its picture', async () => {
  await workbench.command('Markdown: Open Preview');
  const preview = await workbench.webviewWith('h1', /Welcome to demo/);
  await eventually('the picture in the preview is loaded', () =>
    preview
      .locator('img')
      .first()
      .evaluate((image: HTMLImageElement) => image.naturalWidth === 480),
  );
  await screenshot(page, '4-preview');
});

scene('an image opens', async () => {
  await workbench.openFile('burrow.png');
  await eventually('the image viewer shows the image', async () => {
    for (const frame of page.frames()) {
      const shown = await frame
        .locator('img.main-image, .container img, body.image img')
        .evaluateAll((images) =>
          images.some((image) => (image as HTMLImageElement).naturalWidth === 480),
        )
        .catch(() => false);
      if (shown) return true;
    }
    return false;
  });
  await screenshot(page, '5-image');
});

test('VS Code and the agent listen on loopback only, or nowhere', () => {
  const own = processesIn(join(burrow.dataDir, 'workspaces')).map((pid) => ({
    pid,
    inodes: socketInodes(pid),
  }));
  const listening = listeningSockets().filter((socket) =>
    own.some(({ inodes }) => inodes.has(socket.inode)),
  );
  assert.ok(listening.length > 0, 'VS Code was found');
  for (const { address, port } of listening) {
    assert.equal(address, '127.0.0.1', `port ${port} listens on ${address}`);
  }
});

test('Ctrl-C ends everything', async () => {
  const pids = processesIn(join(burrow.dataDir, 'workspaces'));
  assert.ok(pids.length >= 2, 'VS Code and the agent run');
  const began = performance.now();
  assert.equal(await burrow.stop(), 0);
  assert.ok(performance.now() - began < 10_000);
  assert.deepEqual(processesIn(join(burrow.dataDir, 'workspaces')), []);
});
