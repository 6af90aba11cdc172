import { TunnelError } from '../errors.ts';
import type { Channel, IncomingResume, Link, OpenOptions, Principal } from '../types.ts';
import { AcceptorEnd } from './acceptor-end.ts';
import type { JoinEvents, Joined, SwitchedFacts } from './joined.ts';
import { Leg } from './leg.ts';
import { LinkCore } from './link.ts';
import { openFrame } from './open-frame.ts';
import { PendingResume } from './pending-resume.ts';
import { resumeFrame } from './position-frames.ts';

export type { JoinEvents, Joined } from './joined.ts';

/**
 * Joins a channel that came in on one link with a new one on another. Payloads
 * are passed on as they are; offsets and acknowledgements run end to end. The
 * two legs hold at most SWITCH_BUDGET_BYTES for each direction: the limit in
 * passing Credits is lowered to what has left plus that budget, never raised.
 *
 * `incoming` must not have a handler yet. What `instead` names goes onward in
 * place of what the opener said: it may say anything. What the opener said of the
 * workload never goes onward: only `instead.workload` does.
 * Throws what `Link.open` throws; `incoming` is then as it was.
 */
export function joinChannel(
  incoming: Channel,
  to: Link,
  instead: Pick<Partial<OpenOptions>, 'target' | 'principal' | 'metadata' | 'workload'> = {},
  events?: JoinEvents,
): Joined {
  if (!(incoming instanceof AcceptorEnd) || !(to instanceof LinkCore)) {
    throw new TunnelError('internal', 'Only channels and links of this package can be joined.');
  }
  const from = incoming.link as LinkCore;
  const number = to.allocate();
  const facts = { ...incoming.facts, ...instead };
  const told = {
    ...facts,
    workload: instead.workload ?? '',
    epoch: 1,
    openedAt: incoming.openedAt,
  };
  const near = new Leg(from, incoming.number, told, false, incoming.sendLimit);
  const far = new Leg(to, number, told, true, to.maySendFirst);
  near.join(far, events);
  far.join(near, events);
  const early = incoming.takeEarly();
  const finished = incoming.finReceived;
  from.replace(near);
  incoming.abandon();
  to.attach(far, openFrame(number, facts, far.promise(), instead.workload ?? ''));
  let offset = 0;
  for (const chunk of early) {
    near.onData(offset, chunk);
    offset += chunk.length;
  }
  if (finished) near.onFin(offset);
  return near;
}

/**
 * Passes a Resume on to where the channel's agent is now, and joins the two
 * legs. `instead` as in `joinChannel`. Throws what `Link.open` throws, and
 * `unknown-channel` where the agent cannot resume; `incoming` is then as it was.
 */
export function resumeChannel(
  incoming: IncomingResume,
  to: Link,
  instead: { readonly principal?: Principal; readonly workload?: string } = {},
  events?: JoinEvents,
): Joined {
  if (!(incoming instanceof PendingResume) || !(to instanceof LinkCore)) {
    throw new TunnelError('internal', 'Only channels and links of this package can be joined.');
  }
  if (!to.resumes) {
    throw new TunnelError('unknown-channel', 'The agent cannot resume channels; it is too old.');
  }
  const { asked } = incoming;
  const { uid, epoch, ageMs } = asked;
  const { principal = asked.principal, workload = '' } = instead;
  const number = to.allocate();
  const told: SwitchedFacts = {
    ...{ uid, epoch, target: undefined, traffic: undefined, principal, workload },
    openedAt: performance.now() - ageMs,
  };
  const near = new Leg(incoming.link as LinkCore, incoming.number, told, false, 0);
  const far = new Leg(to, number, told, true, 0);
  near.join(far, events);
  far.join(near, events);
  near.startAt(asked);
  far.awaitResumed();
  (incoming.link as LinkCore).replace(near);
  incoming.taken();
  const { received, ended } = asked;
  to.attach(
    far,
    resumeFrame(
      number,
      { uid, epoch, principal, workload, ageMs },
      { received, limit: far.promise(), ended },
    ),
  );
  return near;
}
