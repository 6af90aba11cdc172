import { connect, type IncomingHttpHeaders } from 'node:http2';
import { TunnelError } from '@burrow/tunnel';
import { connectPeer } from './connect.ts';
import type { PeerTls } from './tls.ts';

export interface Question {
  readonly url: URL;
  readonly path: string;
  readonly token?: string;
  readonly tls: PeerTls | undefined;
  /** Longer answers are refused. */
  readonly maxBytes: number;
  /** Bounds the whole. */
  readonly signal: AbortSignal;
}

/** What another relay answers to a GET on its peer port, on a connection of its own. Rejects with TunnelError or the signal's reason. */
export async function ask(question: Question): Promise<string> {
  const { url, path, token, signal } = question;
  const socket = await connectPeer(url, question.tls, signal);
  const session = connect('http://peer', { createConnection: () => socket });
  try {
    return await new Promise<string>((resolve, reject) => {
      const fail = (cause: Error): void =>
        reject(
          new TunnelError('unavailable', `The relay at ${url.host} did not answer ${path}.`, {
            cause,
          }),
        );
      session.on('error', fail);
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      const stream = session.request({
        ':path': path,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      });
      const chunks: Buffer[] = [];
      let bytes = 0;
      let status = 0;
      stream.on('response', (headers: IncomingHttpHeaders & { ':status'?: number }) => {
        status = headers[':status'] ?? 0;
      });
      stream.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > question.maxBytes) return fail(new Error('the answer is too long'));
        chunks.push(chunk);
      });
      stream.on('error', fail);
      stream.on('close', () => fail(new Error('the connection was closed')));
      stream.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (status === 200) resolve(text);
        else fail(new Error(`HTTP ${status}: ${text.slice(0, 200)}`));
      });
    });
  } finally {
    session.destroy();
  }
}
