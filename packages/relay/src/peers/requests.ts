import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { CHALLENGE_PATH } from './dial.ts';
import type { PeersObserver, PeersOptions } from './contracts.ts';
import { peerToken } from './peer-token.ts';
import { PeerRefused } from './refused.ts';
import type { PeerTokens } from './tokens.ts';

export const STATS_PATH = '/stats';

export interface RequestsDeps {
  readonly tokens: PeerTokens;
  readonly stats: PeersOptions['stats'];
  readonly observer: PeersObserver | undefined;
}

/** The two small questions of the peer port: a challenge for anybody, numbers for members. Never rejects. */
export async function answerPeer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { tokens, stats, observer }: RequestsDeps,
): Promise<void> {
  // A body is not expected, and not kept.
  stream.resume();
  const path = headers[':method'] === 'GET' ? headers[':path'] : undefined;
  if (path === CHALLENGE_PATH) return answer(stream, 200, tokens.challenges.issue());
  if (path !== STATS_PATH) return answer(stream, 404, 'This port is for relays of one cluster.');
  try {
    await tokens.accept(peerToken(headers), 'stats');
    answer(stream, 200, JSON.stringify(stats()));
  } catch (error) {
    const refused = error instanceof PeerRefused;
    observer?.refused(refused ? error.reason : 'failed');
    answer(stream, refused ? 401 : 503, refused ? error.message : 'The relay failed.');
  }
}

function answer(stream: ServerHttp2Stream, status: number, text: string): void {
  if (stream.destroyed) return;
  stream.respond({
    ':status': status,
    'content-type': status === 200 && text.startsWith('{') ? 'application/json' : 'text/plain',
    'cache-control': 'no-store',
  });
  stream.end(text);
}
