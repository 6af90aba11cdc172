import { TunnelError } from '@burrow/tunnel';
import type { RelayInfo } from '../routing/registry.ts';
import { channelRows, type ChannelRows, type RowsQuery } from '../trace/rows.ts';
import { ask } from './ask.ts';
import type { AskStatsDeps } from './ask-stats.ts';
import { CHALLENGE_PATH } from './dial.ts';
import { CHANNELS_PATH } from './requests.ts';

/** The channels that pass another relay. Rejects with TunnelError. */
export async function askChannels(
  relay: RelayInfo,
  { prefix, agentId, limit }: RowsQuery,
  { tokens, tls, limits }: AskStatsDeps,
  signal: AbortSignal,
): Promise<ChannelRows> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(limits.statsMs)]);
  const url = new URL(relay.peerUrl);
  const question = { url, tls, maxBytes: limits.channelsBytes, signal: within };
  const query = new URLSearchParams({ limit: String(limit) });
  if (prefix !== undefined) query.set('prefix', prefix);
  if (agentId !== undefined) query.set('agent', agentId);
  try {
    const challenge = await ask({ ...question, path: CHALLENGE_PATH });
    const token = await tokens.mint(relay, 'channels', challenge);
    const text = await ask({ ...question, path: `${CHANNELS_PATH}?${query.toString()}`, token });
    return channelRows.parse(JSON.parse(text));
  } catch (cause) {
    if (cause instanceof TunnelError) throw cause;
    throw new TunnelError('unavailable', `The relay “${relay.id}” says nothing of its channels.`, {
      cause,
    });
  }
}
