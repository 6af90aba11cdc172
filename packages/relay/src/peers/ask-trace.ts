import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { traceEventSchema, type TraceEvent } from '@burrow/api';
import { TunnelError } from '@burrow/tunnel';
import type { RelayInfo } from '../routing/registry.ts';
import type { FeedRequest } from '../trace/contracts.ts';
import { TRACE_LIMITS } from '../trace/limits.ts';
import { ask } from './ask.ts';
import type { AskStatsDeps } from './ask-stats.ts';
import { connectPeer } from './connect.ts';
import { CHALLENGE_PATH } from './dial.ts';
import { TRACE_PATH } from './requests.ts';

/** An answer that is no trace: a sentence. */
const REFUSAL_CHARS = 500;

/**
 * What another relay tells of a channel, on a connection of its own. Rejects with TunnelError when
 * that relay refuses, ends it, goes or falls silent; or with the signal's reason.
 */
export async function askTrace(
  relay: RelayInfo,
  { uid, data }: FeedRequest,
  { tokens, tls, limits }: AskStatsDeps,
  tell: (event: TraceEvent) => void,
  signal: AbortSignal,
): Promise<never> {
  const url = new URL(relay.peerUrl);
  const soon = AbortSignal.any([signal, AbortSignal.timeout(limits.statsMs)]);
  const question = { url, tls, maxBytes: limits.statsBytes, signal: soon };
  const challenge = await ask({ ...question, path: CHALLENGE_PATH });
  const token = await tokens.mint(relay, 'trace', challenge);
  const socket = await connectPeer(url, tls, soon);
  const session = connect('http://peer', { createConnection: () => socket });
  try {
    signal.throwIfAborted();
    return await hear(
      session,
      `${TRACE_PATH}?id=${uid}&data=${data}`,
      token,
      relay.id,
      tell,
      signal,
    );
  } finally {
    session.destroy();
  }
}

function hear(
  session: ClientHttp2Session,
  path: string,
  token: string,
  relay: string,
  tell: (event: TraceEvent) => void,
  signal: AbortSignal,
): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = (why: string, cause?: unknown): void =>
      reject(new TunnelError('unavailable', `The relay “${relay}” ${why}.`, { cause }));
    const gone = (cause?: unknown): void => fail('does not tell any more', cause);
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    session.on('error', gone);
    session.setTimeout(TRACE_LIMITS.silentMs, () => fail('has fallen silent'));
    const stream = session.request({ ':path': path, authorization: `Bearer ${token}` });
    let status = 0;
    let text = '';
    stream.setEncoding('utf8');
    stream.on('response', (headers: IncomingHttpHeaders & { ':status'?: number }) => {
      status = headers[':status'] ?? 0;
    });
    stream.on('data', (chunk: string) => {
      text += chunk;
      if (status !== 200) return void (text = text.slice(0, REFUSAL_CHARS));
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      if (text.length > TRACE_LIMITS.lineBytes) return fail('tells more than an event at once');
      for (const line of lines) {
        const event = eventOf(line);
        if (event !== undefined) tell(event);
      }
    });
    stream.on('error', gone);
    stream.on('close', () => gone());
    stream.on('end', () => {
      if (status === 200) gone();
      else fail(`does not tell: ${text.replace(/\.$/, '')}`);
    });
  });
}

/** Undefined: an empty line, or of a later revision. */
function eventOf(line: string): TraceEvent | undefined {
  if (line === '') return undefined;
  try {
    return traceEventSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
