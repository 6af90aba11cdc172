import assert from 'node:assert/strict';
import type { TunnelError } from '../errors.ts';
import { PROBE_AFTER_MS, SILENT_AFTER_MS } from '../limits.ts';
import { greetAsAcceptor, greetAsDialler } from '../link/handshake.ts';
import { ChannelKeeper } from '../link/keeper.ts';
import type { LinkCore } from '../link/link.ts';
import { joinChannel, resumeChannel, type Joined, type JoinEvents } from '../link/switch.ts';
import { TEST_HELLO, TEST_WELCOME } from '../testing/link-pair.ts';
import type { Channel, Link, LinkHandler, Resumable, Resumer } from '../types.ts';
import { SimulatedEnd } from './end.ts';
import type { Random } from './random.ts';
import { Wire } from './wire.ts';

interface Edge {
  readonly wire: Wire;
  /** The link as seen from the side that opens. */
  readonly near: Link;
  /** And from the side nearer to the agent. */
  readonly far: Link;
}

const PRINCIPAL = { userId: 'u1', username: 'ann' };
const NEVER = new AbortController().signal;

/**
 * An opener, an agent, and `relays` switches in a row or side by side between
 * them (0: the opener holds the agent's links itself). Hops are re-made when
 * they end, as agents and relays do.
 */
export class World implements Resumer {
  readonly #random: Random;
  readonly #hops: readonly Edge[][];
  readonly keeper = new ChannelKeeper();
  readonly opener: SimulatedEnd;
  readonly agent: SimulatedEnd;
  readonly #lost = new Set<Resumable>();
  #resumable: Resumable | undefined;
  attachments = 1;
  /** Away from links that did not answer. */
  moves = 0;
  opens = 0;

  constructor(random: Random, relays: number, bytes: { up: number; down: number }) {
    this.#random = random;
    this.#hops = Array.from({ length: relays + 1 }, () => []);
    this.opener = new SimulatedEnd('opener', random, 0, bytes.up, () =>
      this.agentTotal(bytes.down),
    );
    this.agent = new SimulatedEnd('agent', random, 1, bytes.down, () => bytes.up);
  }

  agentTotal(down: number): number {
    return down;
  }

  get wires(): Wire[] {
    return this.#hops.flatMap((edges) => edges.map(({ wire }) => wire));
  }

  get links(): Link[] {
    return this.#hops.flatMap((edges) => edges.flatMap(({ near, far }) => [near, far]));
  }

  get lost(): readonly Resumable[] {
    return [...this.#lost];
  }

  // ---- Resumer ---------------------------------------------------------------

  onDetached(channel: Resumable): void {
    this.#lost.add(channel);
  }

  onAttached(channel: Resumable): void {
    this.attachments++;
    this.#lost.delete(channel);
  }

  /** Perhaps to a link that answers no better, perhaps to the same. */
  onSilent(): void {
    if (this.resume()) this.moves++;
  }

  onOver(channel: Resumable): void {
    this.#lost.delete(channel);
    this.#resumable = undefined;
  }

  // ---- links -----------------------------------------------------------------

  /** A new link on the hop; ready when the promise resolves (the simulation must deliver its greeting). */
  async connect(hop: number): Promise<void> {
    const wire = new Wire();
    const agentEnd = hop === this.#hops.length - 1;
    const farHandler: LinkHandler = agentEnd
      ? { onChannel: (channel) => this.#arrived(channel), onClose: () => {} }
      : {
          onChannel: (channel) => this.#pass(hop, channel),
          onResume: (resume) => {
            const to = this.#usable(hop + 1);
            if (to === undefined) return resume.refuse('agent-gone', 'No link leads there now.');
            const joined: Joined = resumeChannel(
              resume,
              to,
              {},
              this.#leaving(hop, () => joined),
            );
          },
          onClose: () => {},
        };
    const nearHandler: LinkHandler = { onChannel: () => assert.fail('unasked'), onClose: () => {} };
    // An agent dials its relay; a client and a relay dial onward.
    const dialler = {
      hello: TEST_HELLO,
      handler: agentEnd ? farHandler : nearHandler,
      signal: NEVER,
      ...(agentEnd ? { keeper: this.keeper } : {}),
    };
    const acceptor = { welcome: () => TEST_WELCOME, handler: agentEnd ? nearHandler : farHandler };
    const greeted = Promise.all([
      greetAsDialler(wire.a, dialler),
      greetAsAcceptor(wire.b, acceptor),
    ]);
    await settle(() => wire, greeted);
    const [dialled, accepted] = await greeted;
    if (accepted === undefined) throw new Error('refused');
    const [near, far] = agentEnd ? [accepted.link, dialled.link] : [dialled.link, accepted.link];
    this.#hops[hop]!.push({ wire, near, far });
  }

  /** Live links of a hop. */
  live(hop: number): readonly Edge[] {
    return this.#hops[hop]!.filter(({ near }) => !near.closed && !near.draining);
  }

  get hopCount(): number {
    return this.#hops.length;
  }

  /** On some link time passes without an answer. What was sent may still arrive. */
  fallSilent(): void {
    const edge = this.#random.pick(this.live(this.#random.int(this.#hops.length)));
    if (edge === undefined) return;
    const now = performance.now();
    for (const ms of [PROBE_AFTER_MS, PROBE_AFTER_MS + 2 * SILENT_AFTER_MS]) {
      (edge.near as LinkCore).check(now + ms);
    }
  }

  sweep(): void {
    for (const edges of this.#hops) {
      for (let i = edges.length - 1; i >= 0; i--) if (edges[i]!.wire.dead) edges.splice(i, 1);
    }
  }

  #usable(hop: number): Link | undefined {
    return this.#random.pick(this.live(hop))?.near;
  }

  #arrived(channel: Channel): void {
    this.opens++;
    this.agent.channel = channel;
    channel.setHandler(this.agent);
    channel.accept();
  }

  #pass(hop: number, channel: Channel): void {
    const to = this.#usable(hop + 1);
    if (to === undefined) channel.reset('agent-gone', 'No link leads there now.');
    else {
      const joined: Joined = joinChannel(
        channel,
        to,
        {},
        this.#leaving(hop, () => joined),
      );
    }
  }

  /** What a relay does with a channel whose link onward does not answer: it is left to its ends where another link is. */
  #leaving(hop: number, joined: () => Joined): JoinEvents {
    return {
      onSilent: () => {
        if (this.live(hop + 1).length > 1) joined().detach('The link does not answer.');
      },
    };
  }

  // ---- the opener ------------------------------------------------------------

  open(): void {
    const link = this.#usable(0);
    assert.ok(link);
    const channel = link.open(
      { target: { kind: 'tcp', port: 22 }, principal: PRINCIPAL, resumer: this },
      this.opener,
    );
    this.#resumable = channel as Channel & Resumable;
    this.opener.channel = channel;
  }

  /** Goes on over some link that is there, whether the present one is lost or not. */
  resume(): boolean {
    const link = this.#usable(0);
    if (link === undefined || this.#resumable === undefined) return false;
    // From here on it waits for an answer: `onDetached` or `onAttached`.
    this.#lost.delete(this.#resumable);
    link.resume(this.#resumable);
    return true;
  }

  /** Somebody else, and somebody with impossible numbers, asks for the channel. */
  intrude(): void {
    const link = this.#usable(0) as
      | (Link & { send?: (frame: unknown) => void; allocate?: () => number })
      | undefined;
    const uid = this.opener.channel?.uid;
    if (link?.send === undefined || link.allocate === undefined || uid === undefined) return;
    const foreign = this.#random.chance(0.5);
    link.send({
      case: 'resume',
      value: {
        channel: link.allocate(),
        uid: Buffer.from(uid, 'hex'),
        epoch: 1_000_000,
        received: foreign ? 0n : BigInt(2 ** 40),
        limit: 1_000n,
        principal: foreign ? { userId: 'mallory', username: 'ann' } : PRINCIPAL,
        workload: '',
        ended: false,
      },
    });
  }

  giveUp(error: TunnelError): void {
    this.#resumable?.fail(error);
  }
}

/** Delivers what the greeting needs, in order. */
async function settle(wire: () => Wire, greeted: Promise<unknown>): Promise<void> {
  let done = false;
  void greeted.then(
    () => (done = true),
    () => (done = true),
  );
  while (!done) {
    for (const step of [...wire().steps()]) step();
    await turn();
  }
}

export function turn(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
