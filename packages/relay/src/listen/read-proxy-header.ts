import type { Duplex } from 'node:stream';
import { parseProxyHeader } from './proxy-protocol.ts';

/**
 * Takes the PROXY header off a connection whose protocol is known; what follows
 * is put back. Resolves with the client's address; undefined: the proxy speaks
 * for itself. Rejects when the header is malformed, the peer closes or the signal
 * aborts. Bounded in bytes by the longest header.
 */
export function readProxyHeader(socket: Duplex, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let seen: Buffer = Buffer.alloc(0);
    const stop = (): void => {
      socket.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', fail);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: Error): void => {
      stop();
      reject(error);
    };
    const onEnd = (): void => fail(new Error('the peer closed before it sent a PROXY header'));
    const onAbort = (): void => fail(signal.reason as Error);

    function onReadable(): void {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const header = parseProxyHeader(seen);
      if (header.kind === 'invalid') return fail(new Error(header.reason));
      if (header.kind === 'incomplete') return;
      stop();
      const rest = seen.subarray(header.length);
      if (rest.length > 0) socket.unshift(rest);
      resolve(header.address);
    }

    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('readable', onReadable).once('end', onEnd).once('close', onEnd).once('error', fail);
    if (socket.readableLength > 0) onReadable();
  });
}
