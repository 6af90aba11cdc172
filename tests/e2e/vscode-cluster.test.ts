// VS Code's cells of the promise table of docs/reliability.md: an editor in a browser while relays are killed and drained.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { startClusterWorkspace } from '../../scripts/cluster/workspace.ts';
import { record } from '../chaos/support/report.ts';
import { startCluster, type Cluster, type SteeredLine } from '../harness/cluster.ts';
import { startCuttableLine } from '../harness/cuttable-line.ts';
import { eventually } from '../harness/eventually.ts';
import { startBrowser, withScreenshot } from './support/browser.ts';
import { COUNTER, watchCounter, type Seen } from './support/counter-watch.ts';
import { makeReadable } from './support/editor-settings.ts';
import { Workbench } from './support/workbench.ts';

/** Numbers come every 50 ms; this long everything is looked at after a relay ended. */
const LOOK_MS = 4_000;
/** docs/reliability.md names 2 s for a killed home relay and 200 ms for a drained one; this machine does other things too. */
const STALL_MS = 5_000;
/** VS Code tries at once, and then after 5 s each. */
const RECONNECT_MS = 20_000;

const stack = new AsyncDisposableStack();
const sockets = { opened: 0, closed: 0 };
/** Pages that the browser loaded. */
const navigations: string[] = [];
let cluster: Cluster;
let agentLine: SteeredLine;
/** What the browser reaches relays by. */
let front: { to: string };
let page: Page;
let look: () => Promise<Seen>;

before(async () => {
  front = { to: 'edge' };
  const line = stack.use(await startCuttableLine(() => cluster.relay(front.to).port));
  cluster = stack.use(
    await startCluster(['home', 'other', 'edge'], {
      BURROW_RELAY_PUBLIC_URL: `http://localhost:${line.port}`,
      BURROW_RELAY_DRAIN__GRACE_MS: '1000',
    }),
  );
  agentLine = await cluster.line(cluster.relay('home'));
  const workspace = await startClusterWorkspace({
    name: 'demo',
    dataDir: cluster.folder,
    port: agentLine.port,
    token: cluster.token,
    signal: new AbortController().signal,
  });
  stack.defer(() => workspace.stop());
  await makeReadable(cluster.folder, 'demo');
  const browser = stack.use(await startBrowser());
  page = await (await browser.person()).newPage();
  page.on('websocket', (socket) => {
    sockets.opened += 1;
    socket.on('close', () => (sockets.closed += 1));
  });
  page.on('framenavigated', (frame) => {
    if (frame === page.mainFrame()) navigations.push(new URL(frame.url()).pathname);
  });
  const { url } = await cluster.relay('edge').ask({ kind: 'sign-in-url', workspace: 'demo' });
  await withScreenshot(page, 'cluster-start', async () => {
    const workbench = new Workbench(page);
    await page.goto(url);
    await workbench.ready();
    await workbench.openTerminal();
    await workbench.type(COUNTER);
    await workbench.terminalShows(/^tick \d\d$/m);
  });
  look = await watchCounter(page);
});

after(() => stack.disposeAsync());

const editorLog = (): Promise<string> =>
  readFile(join(cluster.folder, 'workspaces/demo/logs/editor.log'), 'utf8');

/** For whoever has to find out why nothing goes on. */
async function account(seen: Seen): Promise<string> {
  const log = (await editorLog()).slice(-3_000);
  return `${JSON.stringify({ seen, sockets, navigations })}\n${log}`;
}

/** A cell: what the page saw from a little before until the counter has gone on for a while after it. */
async function cell(
  t: TestContext,
  name: string,
  happen: () => void,
): Promise<{ seen: Seen; opened: number; closed: number; reconnected: boolean }> {
  return withScreenshot(page, `cluster-${name.replace(' ', '-')}`, async () => {
    await sleep(500);
    const { last } = await look();
    const before = { ...sockets };
    const saidBefore = (await editorLog()).length;
    happen();
    const began = performance.now();
    await sleep(LOOK_MS);
    const seen = [await look()];
    while (seen.at(-1)!.last < last + LOOK_MS / 100) {
      const late = performance.now() - began >= RECONNECT_MS;
      assert.ok(!late, `the counter does not go on from ${last}: ${await account(seen.at(-1)!)}`);
      await sleep(200);
      seen.push(await look());
    }
    const all: Seen = {
      stallMs: Math.max(...seen.map(({ stallMs }) => stallMs)),
      last: seen.at(-1)!.last,
      gaps: seen.flatMap(({ gaps }) => gaps),
      said: [...new Set(seen.flatMap(({ said }) => said))],
      samePage: seen.every(({ samePage }) => samePage),
    };
    const result = {
      seen: all,
      opened: sockets.opened - before.opened,
      closed: sockets.closed - before.closed,
      reconnected: /reconnected/i.test((await editorLog()).slice(saidBefore)),
    };
    t.diagnostic(`${name}: ${JSON.stringify(result)}`);
    assert.ok(all.samePage, 'the page was not loaded again');
    assert.deepEqual(all.gaps, [], 'every number followed the one before');
    return result;
  });
}

/** What is promised for the home relay: nobody notices but by a pause. */
async function goesOn(t: TestContext, name: string, happen: () => void): Promise<void> {
  const { seen, opened, closed, reconnected } = await cell(t, name, happen);
  assert.deepEqual(seen.said, [], 'VS Code says nothing of a connection');
  assert.deepEqual({ opened, closed, reconnected }, { opened: 0, closed: 0, reconnected: false });
  assert.ok(seen.stallMs < STALL_MS, `stalled ${seen.stallMs} ms`);
  record(name, new Map([['VS Code', `whole, stalled ${seen.stallMs} ms`]]));
}

/** What is promised for the edge relay: the same terminal, over connections that VS Code makes anew by itself. */
async function connectsAgain(t: TestContext, name: string, happen: () => void): Promise<void> {
  const { seen, opened, reconnected } = await cell(t, name, happen);
  assert.ok(opened > 0 && reconnected, 'VS Code made its connections anew');
  record(name, new Map([['VS Code', `connects again by itself, stalled ${seen.stallMs} ms`]]));
}

/** A relay comes back, and is known to the others. */
async function startAgain(id: string): Promise<void> {
  await cluster.relay(id).ended;
  await cluster.start(id);
  await eventually('the cluster is whole again', async () => {
    // The lease of one that was killed is still there.
    const { relays } = await cluster.api(id).cluster();
    return relays.filter(({ stats }) => stats !== null).length === 3;
  });
}

test('the home relay is killed: VS Code goes on', async (t) => {
  await goesOn(t, 'home killed', () => {
    agentLine.to = cluster.relay('other');
    cluster.kill('home');
  });
  await startAgain('home');
});

test('the home relay is drained: VS Code goes on', async (t) => {
  await goesOn(t, 'home drained', () => {
    agentLine.to = cluster.relay('home');
    cluster.kill('other', 'SIGTERM');
  });
  await startAgain('other');
});

test('the edge relay is killed: VS Code connects again, and the terminal is still there', async (t) => {
  await connectsAgain(t, 'edge killed', () => {
    front.to = 'other';
    cluster.kill('edge');
  });
  await startAgain('edge');
});

test('the edge relay is drained: VS Code connects again, and the terminal is still there', async (t) => {
  await connectsAgain(t, 'edge drained', () => {
    front.to = 'edge';
    cluster.kill('other', 'SIGTERM');
  });
});
