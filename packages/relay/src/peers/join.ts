import { joinChannel, TunnelError, type Channel, type Link } from '@burrow/tunnel';
import type { ChannelErrorCode } from '@burrow/tunnel';
import type { PeersLog, PeersOptions } from './contracts.ts';

export interface JoinDeps {
  /** The name of this relay, for people. */
  readonly id: string;
  readonly choose: PeersOptions['choose'];
  readonly log: PeersLog;
}

/** Links that end in the moment of joining are passed over this often. */
const TRIES = 3;

/**
 * Joins a channel of another relay with one to the agent, whose link must end here.
 * Waits for nothing: the relay that asks knows other ways, and when to give up. Who
 * the user is and from where was decided there and goes on unchanged.
 */
export function joinWithAgent(channel: Channel, from: string, deps: JoinDeps): void {
  const { id, choose, log } = deps;
  const agentId = channel.workload;
  if (agentId === '') {
    return channel.reset('protocol-error', 'A channel between relays names an agent.');
  }
  try {
    const link = join(channel, agentId, choose, (error) =>
      log.debug({ ...facts, code: error?.code, reason: error?.message }, 'peer channel closed'),
    );
    const facts = {
      channel: channel.uid,
      peer: from,
      agentId,
      user: channel.principal.username,
      link: link?.id,
    };
    if (link !== undefined) return log.debug(facts, 'peer channel joined');
    channel.reset('agent-gone', `The agent is not connected to the relay “${id}” any more.`);
  } catch (error) {
    if (!(error instanceof TunnelError)) {
      log.error({ channel: channel.uid, error: (error as Error).message }, 'cannot join a channel');
    }
    const { code, message } =
      error instanceof TunnelError
        ? error
        : new TunnelError('internal', `The relay “${id}” failed; its log says why.`);
    channel.reset(code as ChannelErrorCode, message);
  }
}

function join(
  channel: Channel,
  agentId: string,
  choose: PeersOptions['choose'],
  onEnd: (error?: TunnelError) => void,
): Link | undefined {
  for (let attempt = 1; ; attempt++) {
    const link = choose(agentId, channel.traffic);
    if (link === undefined) return undefined;
    try {
      joinChannel(channel, link, {}, { onEnd });
      return link;
    } catch (error) {
      if (!isGone(error)) throw error;
      if (attempt === TRIES) return undefined;
    }
  }
}

function isGone(error: unknown): boolean {
  return error instanceof TunnelError && (error.code === 'draining' || error.code === 'link-lost');
}
