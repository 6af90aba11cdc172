import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { TunnelError } from '../errors.ts';
import { IDLE_CREDIT_MS } from '../limits.ts';
import { replayBudget } from '../link/replay-budget.ts';
import { Random } from './random.ts';
import { turn, World } from './world.ts';

export interface Outcome {
  readonly attachments: number;
  /** Away from links that did not answer. */
  readonly moves: number;
  readonly cuts: number;
  readonly steps: number;
  readonly reset: boolean;
}

/** More than any run needs: one that takes longer is stuck. */
const MAX_STEPS = 60_000;

/**
 * One channel through a random world: hops are cut, left half-open, fall silent, are re-made;
 * the opener moves back and forth while old attachments still deliver; readers
 * are slow; intruders ask for the channel. Throws when a byte is lost, doubled
 * or out of order, when a half-close is, when something is left behind, or when it gets stuck.
 * Needs `mock.timers` to be enabled for setTimeout.
 */
export async function simulate(seed: number): Promise<Outcome> {
  const random = new Random(seed);
  const size = (): number => random.int([1, 2_000, 20_000, 400_000][random.int(4)]!);
  const world = new World(random, random.int(3), { up: size(), down: size() });
  for (let hop = 0; hop < world.hopCount; hop++) await world.connect(hop);
  world.open();
  let trouble = random.int(12);
  let cuts = 0;
  let steps = 0;
  let reset = false;
  const resets = random.chance(0.1);
  /** Also before the agent has heard of the channel. */
  const early = random.chance(0.2);
  for (; ; steps++) {
    if (steps >= MAX_STEPS) throw new Error(`the channel is stuck: ${describe(world)}`);
    await turn();
    if (trouble > 0 && random.chance(0.02) && (early || world.opens > 0)) {
      trouble--;
      cuts++;
      await disturb(world, random);
    }
    if (resets && !reset && random.chance(0.005)) {
      const end = random.chance(0.5) ? world.opener : world.agent;
      if (end.channel !== undefined && !end.closed) {
        reset = true;
        end.channel.reset('cancelled', 'enough');
        end.closed = true;
      }
    }
    if (random.chance(0.02)) await reconnect(world, random);
    world.sweep();
    const choices = [...steps_(world)];
    if (world.lost.length > 0 && random.chance(0.3)) {
      if (world.resume()) continue;
      await reconnect(world, random);
    }
    const step = random.pick(choices);
    if (step !== undefined && random.chance(0.97)) {
      step();
      continue;
    }
    mock.timers.tick(IDLE_CREDIT_MS);
    await turn();
    if (isOver(world)) break;
    if (choices.length === 0 && world.lost.length === 0) {
      // Quiet, and not over: only a link that nobody re-made can be missing.
      for (let hop = 0; hop < world.hopCount; hop++)
        if (world.live(hop).length === 0) await world.connect(hop);
    }
  }
  await quiet(world);
  // The agent's end may wait for a last acknowledgement that was lost: until the window ends.
  world.keeper.stop(new TunnelError('link-lost', 'The window has ended.'));
  for (const link of world.links)
    assert.equal(link.stats.channels, 0, `a channel was left behind: ${describe(world)}`);
  assert.equal(replayBudget.bytes, 0, `bytes were left behind: ${describe(world)}`);
  assert.equal(world.keeper.parked, 0);
  assert.equal(world.opens <= 1, true, 'the channel was opened twice');
  // An Open that was lost, or found no way, has done nothing.
  if (world.opens === 0) assert.ok(world.opener.error !== undefined || reset);
  else if (!reset) {
    for (const end of [world.opener, world.agent]) {
      assert.equal(end.error, undefined, `${end.name}: ${end.error?.message}`);
      assert.ok(end.ended && end.sentEnd);
    }
  }
  return { attachments: world.attachments, moves: world.moves, cuts, steps, reset };
}

function describe({ opener, agent, lost, keeper, opens, wires, links }: World): string {
  const ends = [opener, agent].map(
    (end) =>
      `${end.name} wrote ${end.written}, got ${end.received}, ended ${end.sentEnd}/${end.ended}, closed ${end.closed} ${end.error?.code ?? ''} ${end.error?.message ?? ''}, detached ${end.channel?.detached}`,
  );
  return `${ends.join('; ')}; lost ${lost.length}, parked ${keeper.parked}, opens ${opens}, wires ${wires.length}, channels ${links.map((link) => link.stats.channels).join()}`;
}

function* steps_(world: World): Generator<() => void> {
  for (const wire of world.wires) yield* wire.steps();
  yield* world.opener.steps();
  yield* world.agent.steps();
}

function isOver(world: World): boolean {
  // An Open that was lost with its link never reached the agent.
  const { channel, closed } = world.agent;
  // A Reset, or the last acknowledgement, that was lost leaves it waiting until the window ends.
  const agentOver = channel === undefined || closed || (world.opener.closed && channel.detached);
  const openerOver = world.opener.closed && !(world.opener.channel?.detached ?? false);
  return openerOver && agentOver && world.lost.length === 0;
}

async function disturb(world: World, random: Random): Promise<void> {
  const wire = random.pick(world.wires.filter(({ cut }) => !cut));
  switch (random.int(6)) {
    case 0:
    case 1:
      if (wire !== undefined) wire.cut = true;
      break;
    case 2:
      // Lost on the way, and neither side knows for a while: more is sent into it.
      if (wire !== undefined) {
        wire.a.inbox.length = 0;
        wire.b.inbox.length = 0;
        wire.cut = true;
      }
      break;
    case 3:
      if (world.live(0).length < 4) await world.connect(0);
      world.resume();
      break;
    case 4:
      world.fallSilent();
      break;
    default:
      world.intrude();
  }
}

async function reconnect(world: World, random: Random): Promise<void> {
  for (let hop = 0; hop < world.hopCount; hop++) {
    const live = world.live(hop).length;
    if (live === 0 || (live < 3 && random.chance(0.1))) await world.connect(hop);
  }
}

/** Delivers everything that is still under way. */
async function quiet(world: World): Promise<void> {
  for (let round = 0; round < 1_000; round++) {
    await turn();
    const steps = [...steps_(world)];
    for (const step of steps) step();
    mock.timers.tick(IDLE_CREDIT_MS);
    world.sweep();
    if (world.lost.length > 0) {
      for (let hop = 0; hop < world.hopCount; hop++) {
        if (world.live(hop).length === 0) await world.connect(hop);
      }
      world.resume();
    } else if (steps.length === 0) return;
  }
}
