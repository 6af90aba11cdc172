import { setTimeout as sleep } from 'node:timers/promises';
import {
  joinChannel,
  resumeChannel,
  TunnelError,
  type Channel,
  type ChannelErrorCode,
  type IncomingResume,
  type JoinEvents,
  type Joined,
  type Link,
  type Traffic,
} from '@burrow/tunnel';
import { sidestep } from '../routing/sidestep.ts';
import type { PeersLog, PeersOptions } from './contracts.ts';

export interface JoinDeps {
  /** The name of this relay, for people. */
  readonly id: string;
  readonly choose: PeersOptions['choose'];
  readonly log: PeersLog;
}

/** Links that end in the moment of joining are passed over this often. */
const TRIES = 3;
/** How often another link of the agent is looked for while one drains, and how many times. */
const LOOK_MS = 100;
const LOOKS = 100;

/**
 * Joins a channel of another relay with one to the agent, whose link must end here.
 * Waits for nothing: the relay that asks knows other ways, and when to give up. Who
 * the user is and from where was decided there and goes on unchanged.
 */
export function joinWithAgent(channel: Channel, from: string, deps: JoinDeps): void {
  const { traffic } = channel;
  const join: Join = (link, events) => joinChannel(channel, link, {}, events);
  // Nothing has been passed on: `draining` lets the asker go another way with the same request.
  pass(channel, traffic, from, deps, join, (code, reason) =>
    channel.reset(code === 'agent-gone' ? 'draining' : code, reason),
  );
}

/** The same for a channel that lost its way to the agent and looks for another. */
export function resumeWithAgent(resume: IncomingResume, from: string, deps: JoinDeps): void {
  const join: Join = (link, events) => resumeChannel(resume, link, {}, events);
  pass(resume, 'interactive', from, deps, join, (code, reason) => resume.refuse(code, reason));
}

type Join = (link: Link, events: JoinEvents) => Joined;

function pass(
  what: Pick<Channel, 'uid' | 'workload' | 'principal'>,
  traffic: Traffic,
  from: string,
  deps: JoinDeps,
  join: Join,
  refuse: (code: ChannelErrorCode, reason: string) => void,
): void {
  const { id, choose, log } = deps;
  const { uid, workload: agentId } = what;
  if (agentId === '') return refuse('protocol-error', 'A channel between relays names an agent.');
  const facts = { channel: uid, peer: from, agentId, user: what.principal.username };
  let joined: Joined | undefined;
  /** The agent's link. */
  let used: Link | undefined;
  let looking = false;
  const events: JoinEvents = {
    onEnd: (error) =>
      log.debug({ ...facts, code: error?.code, reason: error?.message }, 'peer channel closed'),
    onDraining: () => void leaveTo(() => choose(agentId, traffic), joined),
    onSilent: () => {
      if (looking) return;
      looking = true;
      const still = (): boolean => joined?.closed === false && used?.stats.silent === true;
      void sidestep({ choose }, agentId, traffic, still).then((found) => {
        looking = false;
        if (found) joined?.detach('The agent’s link does not answer, and another does.');
      });
    },
  };
  try {
    joined = joinBest(() => (used = choose(agentId, traffic)), join, events);
    if (joined !== undefined) return log.debug(facts, 'peer channel joined');
    refuse('agent-gone', `The agent is not connected to the relay “${id}” any more.`);
  } catch (error) {
    if (!(error instanceof TunnelError)) {
      log.error({ channel: uid, error: (error as Error).message }, 'cannot join a channel');
    }
    const { code, message } =
      error instanceof TunnelError
        ? error
        : new TunnelError('internal', `The relay “${id}” failed; its log says why.`);
    refuse(code as ChannelErrorCode, message);
  }
}

function joinBest(
  best: () => Link | undefined,
  join: Join,
  events: JoinEvents,
): Joined | undefined {
  for (let attempt = 1; ; attempt++) {
    const link = best();
    if (link === undefined) return undefined;
    try {
      return join(link, events);
    } catch (error) {
      if (!isGone(error)) throw error;
      if (attempt === TRIES) return undefined;
    }
  }
}

/** Of two links here one drains: the channel's opener comes back for the other, once that answers. */
async function leaveTo(best: () => Link | undefined, joined: Joined | undefined): Promise<void> {
  for (let look = 0; look < LOOKS && joined?.closed === false; look++) {
    if (best()?.stats.silent === false)
      return joined.detach('The agent’s link drains, and another is there.');
    await sleep(LOOK_MS, undefined, { ref: false });
  }
}

function isGone(error: unknown): boolean {
  return error instanceof TunnelError && (error.code === 'draining' || error.code === 'link-lost');
}
