import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { z } from 'zod';
import { RelayError } from '../errors.ts';
import { CHALLENGE_PATH } from './dial.ts';
import type { PeersObserver, PeersOptions } from './contracts.ts';
import { peerToken } from './peer-token.ts';
import { PeerRefused } from './refused.ts';
import type { PeerTokens } from './tokens.ts';

export const STATS_PATH = '/stats';
export const CHANNELS_PATH = '/channels';
export const TRACE_PATH = '/trace';

export interface RequestsDeps extends Pick<PeersOptions, 'stats' | 'channels'> {
  readonly tokens: PeerTokens;
  readonly observer: PeersObserver | undefined;
}

const channelsQuery = z.object({
  prefix: z.string().max(32).optional(),
  agent: z.string().max(100).optional(),
  limit: z.coerce.number().int().min(1).max(1_000),
});

const traceQuery = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  data: z.enum(['true', 'false']),
});

/** The small questions of the peer port: a challenge for anybody, numbers and channels for members. Never rejects. */
export async function answerPeer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  deps: RequestsDeps,
): Promise<void> {
  // A body is not expected, and not kept.
  stream.resume();
  const asked = headers[':method'] === 'GET' ? (headers[':path'] ?? '') : '';
  const { pathname = '', searchParams } = URL.parse(asked, 'http://peer') ?? {};
  const reply = ANSWERS[pathname];
  if (pathname === CHALLENGE_PATH) {
    return answer(stream, 200, deps.tokens.challenges.issue());
  }
  if (reply === undefined) return answer(stream, 404, 'This port is for relays of one cluster.');
  try {
    await deps.tokens.accept(peerToken(headers), reply.use);
    if (!stream.destroyed) reply.to(stream, Object.fromEntries(searchParams ?? []), deps);
  } catch (error) {
    const refused = error instanceof PeerRefused;
    deps.observer?.refused(refused ? error.reason : 'failed');
    if (error instanceof RelayError) return answer(stream, 503, error.message);
    answer(stream, refused ? 401 : 503, refused ? error.message : 'The relay failed.');
  }
}

type Reply = (stream: ServerHttp2Stream, query: unknown, deps: RequestsDeps) => void;

const ANSWERS: Readonly<
  Record<string, { readonly use: 'stats' | 'channels' | 'trace'; readonly to: Reply }>
> = {
  [STATS_PATH]: {
    use: 'stats',
    to: (stream, _query, { stats }) => answer(stream, 200, JSON.stringify(stats())),
  },
  [CHANNELS_PATH]: {
    use: 'channels',
    to(stream, query, { channels }) {
      const { prefix, agent, limit } = channelsQuery.parse(query);
      const rows = channels?.().channels({ prefix, agentId: agent, limit });
      answer(stream, 200, JSON.stringify(rows ?? { rows: [], more: false }));
    },
  },
  [TRACE_PATH]: {
    use: 'trace',
    to(stream, query, { channels }) {
      const { id, data } = traceQuery.parse(query);
      const lines = channels?.().feed({ uid: id, data: data === 'true' });
      if (lines === undefined) return answer(stream, 404, 'This relay tells nothing of channels.');
      begin(stream, 200, 'application/x-ndjson');
      stream.once('close', () => lines.destroy());
      lines.pipe(stream);
    },
  },
};

function answer(stream: ServerHttp2Stream, status: number, text: string): void {
  if (stream.destroyed) return;
  const json = status === 200 && text.startsWith('{');
  begin(stream, status, json ? 'application/json' : 'text/plain');
  stream.end(text);
}

function begin(stream: ServerHttp2Stream, status: number, type: string): void {
  stream.respond({ ':status': status, 'content-type': type, 'cache-control': 'no-store' });
}
