/// <reference lib="dom" />
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBurrow } from '../harness/burrow.ts';
import { startCuttableLine } from '../harness/cuttable-line.ts';
import { eventually } from '../harness/eventually.ts';
import { screenshot, startBrowser, withScreenshot } from './support/browser.ts';
import { makeReadable } from './support/editor-settings.ts';
import { Workbench } from './support/workbench.ts';

/** How long the link is cut. */
const CUT_MS = 5_000;

test("the editor survives its agent's links being cut for 5 s", async () => {
  let relayPort = 0;
  await using line = await startCuttableLine(() => relayPort);
  await using burrow = await startBurrow({
    local: true,
    localAgentsVia: () => `http://127.0.0.1:${line.port}`,
  });
  relayPort = burrow.port;
  await burrow.createWorkspace('demo', { driver: 'local' });
  await eventually(
    'the workspace runs',
    async () => (await burrow.showWorkspace('demo')).state === 'running',
    30_000,
  );
  await makeReadable(burrow.dataDir, 'demo');
  const onDisk = (name: string): Promise<string> =>
    readFile(join(burrow.dataDir, 'workspaces/demo/projects', name), 'utf8');

  await using browser = await startBrowser();
  const page = await (await browser.person()).newPage();
  await withScreenshot(page, 'link-cut', async () => {
    const workbench = new Workbench(page);
    await page.goto(await burrow.signInLink());
    await page.goto(burrow.appUrl('demo'));
    await workbench.ready();
    await workbench.openTerminal();
    await workbench.type('echo before > before-the-cut.txt');
    await eventually(
      'a command runs',
      async () => (await onDisk('before-the-cut.txt')) === 'before\n',
    );
    await page.evaluate(() => Object.assign(window, { sameDocument: true }));

    const before = line.accepted;
    assert.ok(before >= 2, 'the agent keeps two links');
    line.cut();
    await sleep(CUT_MS);
    line.mend();
    // Its back-off is at most 20 s.
    await eventually('the agent dials again', () => line.accepted > before, 25_000);

    await eventually(
      'a command typed into the same terminal runs',
      async () => {
        await workbench.type('echo back > after-the-cut.txt');
        return eventually(
          'its file is there',
          async () => (await onDisk('after-the-cut.txt')) === 'back\n',
          3_000,
        );
      },
      60_000,
    );
    await workbench.openFile('README.md');
    await workbench.appendAndSave('Still here.');
    await eventually('a file can be saved', async () =>
      (await onDisk('README.md')).endsWith('Still here.'),
    );
    const same = await page.evaluate(() => 'sameDocument' in window);
    assert.equal(same, true, 'the page was not loaded again');
    await screenshot(page, '6-after-the-cut');
  });
});
