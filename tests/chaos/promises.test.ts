// The promise table of docs/reliability.md, cell by cell: what passes through a relay when that relay is killed or drained.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { startCluster, type Cluster, type SteeredLine } from '../harness/cluster.ts';
import { eventually } from '../harness/eventually.ts';
import { PACE_MS, startApp } from './support/app.ts';
import { record } from './support/report.ts';
import type { Outcome } from './support/streams.ts';
import { prepareTraffic, type Traffic } from './support/traffic.ts';

const GRACE_MS = 2_000;
/** A stream takes about so long, and the relay ends in the middle of it. */
const STREAM_MS = 6_000;
const COUNT = STREAM_MS / PACE_MS;
/** What must not be over before the edge relay is, however long the rest takes to begin. */
const LONG_COUNT = 10 * COUNT;
/** Longer than what broke may look for another way. */
const ENDED_WITHIN_MS = 90_000;

interface Place {
  readonly cluster: Cluster;
  readonly traffic: Traffic;
  readonly agentLine: SteeredLine;
  readonly cliLine: SteeredLine;
}

/** The agent's links end at `home`, users come in at `edge`, and `other` is there too. */
async function place(t: TestContext): Promise<Place> {
  const cluster = await startCluster(['home', 'other', 'edge'], {
    BURROW_RELAY_DRAIN__GRACE_MS: String(GRACE_MS),
  });
  t.after(() => cluster[Symbol.asyncDispose]());
  const app = await startApp();
  t.after(() => app[Symbol.asyncDispose]());
  const agentLine = await cluster.line(cluster.relay('home'));
  const cliLine = await cluster.line(cluster.relay('edge'));
  await cluster.agent('demo', agentLine);
  return { cluster, agentLine, cliLine, traffic: await prepareTraffic(cluster, app, 'demo') };
}

async function through(
  { cluster, traffic, cliLine }: Place,
  t: TestContext,
  cell: string,
  happen: () => void | Promise<void>,
  edgeCount = COUNT,
): Promise<Map<string, Outcome>> {
  const streams = traffic.start('edge', cliLine.port, COUNT, { edgeCount });
  await Promise.all(streams.map(({ begun }) => begun));
  await sleep(500);
  await happen();
  const outcomes = new Map<string, Outcome>();
  const all = Promise.all(
    streams.map(async ({ kind, outcome }) => outcomes.set(kind, await outcome)),
  );
  await Promise.race([all, sleep(ENDED_WITHIN_MS, undefined, { ref: false })]);
  const left = streams.map(({ kind }) => kind).filter((kind) => !outcomes.has(kind));
  assert.deepEqual(left, [], 'these neither went on nor ended');
  for (const [kind, { whole, stallMs, units, said }] of outcomes) {
    const how = whole ? 'whole' : `ended after ${units}: ${said}`;
    t.diagnostic(`${cell}: ${kind}: ${how}, stalled ${stallMs} ms`);
  }
  record(cell, outcomes);
  assert.ok(cluster.token);
  return outcomes;
}

function assertWhole(outcomes: Map<string, Outcome>, kinds = [...outcomes.keys()]): void {
  for (const kind of kinds) {
    const outcome = outcomes.get(kind);
    assert.ok(outcome?.whole, `${kind}: ${outcome?.units} of ${COUNT}, ${outcome?.said}`);
  }
}

/** Our own command line: dials again when its relay is gone. */
const CLI = ['burrow ssh-proxy', 'burrow port-forward'];

test('the home relay is killed: everything goes on', { timeout: 180_000 }, async (t) => {
  const here = await place(t);
  const outcomes = await through(here, t, 'home killed', () => {
    here.agentLine.to = here.cluster.relay('other');
    here.cluster.kill('home');
  });
  assertWhole(outcomes);
});

test('the home relay is drained: everything goes on', { timeout: 180_000 }, async (t) => {
  const here = await place(t);
  const outcomes = await through(here, t, 'home drained', () => {
    here.agentLine.to = here.cluster.relay('other');
    here.cluster.kill('home', 'SIGTERM');
  });
  assertWhole(outcomes);
});

test(
  'the edge relay is killed: the command line goes on, sockets of that process end',
  { timeout: 180_000 },
  async (t) => {
    const here = await place(t);
    const happen = (): void => {
      here.cliLine.to = here.cluster.relay('other');
      here.cluster.kill('edge');
    };
    const outcomes = await through(here, t, 'edge killed', happen, LONG_COUNT);
    assertWhole(outcomes, CLI);
    for (const [kind, { whole, said }] of outcomes) {
      if (!CLI.includes(kind)) assert.ok(!whole && said !== '', `${kind}: ${said}`);
    }
  },
);

test(
  'the edge relay is drained: what is short ends in order, what is long is told, the command line goes on',
  { timeout: 180_000 },
  async (t) => {
    const here = await place(t);
    const happen = (): void => {
      here.cliLine.to = here.cluster.relay('other');
      here.cluster.kill('edge', 'SIGTERM');
    };
    const outcomes = await through(here, t, 'edge drained', happen, LONG_COUNT);
    assertWhole(outcomes, CLI);
    for (const [kind, { whole, said }] of outcomes) {
      if (!CLI.includes(kind)) assert.ok(!whole && said !== '', `${kind}: ${said}`);
    }
    assert.match(
      outcomes.get('WebSocket')?.said ?? '',
      /^closed with 1001 The relay is being rest/,
    );
    await eventually('the drained relay is gone', async () => {
      return here.cluster.log('edge').includes('relay stopped');
    });
  },
);
