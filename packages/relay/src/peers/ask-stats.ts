import { TunnelError } from '@burrow/tunnel';
import type { RelayInfo } from '../routing/registry.ts';
import { ask } from './ask.ts';
import { CHALLENGE_PATH } from './dial.ts';
import type { PeerLimits } from './limits.ts';
import { STATS_PATH } from './requests.ts';
import { relayStats, type RelayStats } from './stats.ts';
import type { PeerTls } from './tls.ts';
import type { PeerTokens } from './tokens.ts';

export interface AskStatsDeps {
  readonly tokens: PeerTokens;
  readonly tls: PeerTls | undefined;
  readonly limits: PeerLimits;
}

/** Rejects with TunnelError: the relay does not answer, is another one, or says nothing sensible. */
export async function askStats(
  relay: RelayInfo,
  { tokens, tls, limits }: AskStatsDeps,
  signal: AbortSignal,
): Promise<RelayStats> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(limits.statsMs)]);
  const question = {
    url: new URL(relay.peerUrl),
    tls,
    maxBytes: limits.statsBytes,
    signal: within,
  };
  try {
    // Always by challenge: an administrator looks just when a clock may be wrong.
    const challenge = await ask({ ...question, path: CHALLENGE_PATH });
    const token = await tokens.mint(relay, 'stats', challenge);
    const answer = relayStats.parse(
      JSON.parse(await ask({ ...question, path: STATS_PATH, token })),
    );
    if (answer.incarnation === relay.incarnation) return answer;
    throw new TunnelError('unavailable', `Another relay answers at the address of “${relay.id}”.`);
  } catch (cause) {
    if (cause instanceof TunnelError) throw cause;
    throw new TunnelError('unavailable', `The relay “${relay.id}” says nothing of itself.`, {
      cause,
    });
  }
}
