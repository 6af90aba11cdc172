import {
  createResumer,
  TunnelError,
  type Channel,
  type Link,
  type Resumable,
  type Resumer,
  type ResumerOptions,
} from '@burrow/tunnel';
import { isRefusal } from './is-refusal.ts';
import type { LinkChooser, Router } from './router.ts';

export interface ResumingOptions extends Pick<
  ResumerOptions,
  'onLost' | 'onResumed' | 'onGivenUp'
> {
  /** How long a channel may be without a link, in ms. 0: channels end with their link. */
  readonly windowMs: number;
}

export interface ResumingRouter extends Router, LinkChooser {
  /** Channels that look for a link. */
  readonly resuming: number;
  /** They, each with its agent. */
  detached(): Iterable<readonly [Resumable, agentId: string]>;
  /** Fails those that wait. Idempotent. */
  stop(): void;
}

/** The agent of each channel that a gateway of this relay opened. */
type Agents = WeakMap<Resumable, string>;

/**
 * Lets the channels that this relay's gateways open outlive their links: one
 * that has lost its own goes on over whatever link leads to its agent next,
 * here or on another relay.
 */
export function resumingRouter(
  inner: Router & LinkChooser,
  options: ResumingOptions,
): ResumingRouter {
  const agents: Agents = new WeakMap();
  /** One for all channels of an agent: places to wait in are for people's requests. */
  const waits = new Map<string, Promise<void>>();

  function wait(agentId: string): Promise<void> {
    let waiting = waits.get(agentId);
    if (waiting === undefined) {
      waiting = inner
        .waitFor(agentId, AbortSignal.timeout(options.windowMs))
        .finally(() => waits.delete(agentId));
      waits.set(agentId, waiting);
    }
    return waiting;
  }

  /** Where each channel that has lost its way tries to go on. */
  const tried = new WeakMap<Resumable, Link>();
  const chosen = (channel: Resumable, agentId: string): Link | undefined => {
    const link = inner.choose(agentId, channel.traffic);
    if (link !== undefined) tried.set(channel, link);
    return link;
  };

  const resumer = createResumer({
    ...options,
    async findLink(channel, signal) {
      const agentId = agents.get(channel);
      if (agentId === undefined) return undefined;
      const link = chosen(channel, agentId);
      if (link?.stats.silent === false) return link;
      await (link === undefined ? wait(agentId) : inner.around?.(agentId));
      return signal.aborted ? undefined : chosen(channel, agentId);
    },
    workloadOf: (channel) => agents.get(channel),
  });
  const watched: Resumer = {
    ...resumer,
    onDetached(channel, reason) {
      const [agentId, link] = [agents.get(channel), tried.get(channel)];
      tried.delete(channel);
      if (agentId !== undefined && link !== undefined && isRefusal(reason)) {
        inner.failed?.(agentId, link, reason);
      }
      resumer.onDetached(channel, reason);
    },
    onAttached(channel) {
      tried.delete(channel);
      resumer.onAttached?.(channel);
    },
  };
  return {
    open(agentId, open, handler) {
      if (options.windowMs === 0) return inner.open(agentId, open, handler);
      const channel = inner.open(agentId, { ...open, resumer: watched }, handler);
      if (channel !== undefined) agents.set(channel as Channel & Resumable, agentId);
      return channel;
    },
    choose: (agentId, traffic) => inner.choose(agentId, traffic),
    around: (agentId) => inner.around?.(agentId) ?? Promise.resolve(),
    waitFor: (agentId, signal) => inner.waitFor(agentId, signal),
    presence: (agentId) => inner.presence(agentId),
    failed: (agentId, link, error) => inner.failed?.(agentId, link, error),
    get resuming() {
      return resumer.waiting;
    },
    *detached() {
      for (const channel of resumer.channels()) {
        if (channel.detached) yield [channel, agents.get(channel) ?? ''];
      }
    },
    stop: () => resumer.stop(new TunnelError('draining', 'The relay shuts down.')),
  };
}
