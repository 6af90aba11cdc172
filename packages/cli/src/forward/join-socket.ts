import type { Socket } from 'node:net';
import type { Link, OpenOptions, TunnelError } from '@burrow/tunnel';

/** How a forwarded connection came to its end. */
export type JoinEnd =
  /** By its two programs, in order or not. */
  | { readonly kind: 'ended' }
  /** By what lies between them, or because the workspace's program was never reached. */
  | { readonly kind: 'failed'; readonly error: TunnelError };

/** A local program that does not read may hold what a channel that ended in order left for it. ms */
const LINGER_MS = 30_000;
const ENDED: JoinEnd = { kind: 'ended' };

/**
 * Joins an accepted socket (half-open allowed, paused) with a channel that is opened for it: each
 * direction ends by itself, with back-pressure, and what breaks off is a reset on both sides, so
 * that nobody takes it for the end. Throws what `link.open` throws, the socket untouched.
 */
export function joinSocket(
  socket: Socket,
  link: Pick<Link, 'open'>,
  options: OpenOptions,
): Promise<JoinEnd> {
  const { promise, resolve } = Promise.withResolvers<JoinEnd>();
  /** Given to the socket and not yet reported as consumed. */
  let owed = 0;
  let fault: Error | undefined;
  const channel = link.open(options, {
    onData(chunk) {
      if (socket.write(chunk) && owed === 0) channel.consumed(chunk.length);
      else owed += chunk.length;
    },
    onEnd: () => void socket.end(),
    onWritable: () => void socket.resume(),
    onClose(error) {
      if (error === undefined) {
        socket.setTimeout(LINGER_MS, () => socket.destroy());
        return;
      }
      // What the target did to its own connection is passed on without a word, as a socket would.
      resolve(error.code === 'target-closed' ? ENDED : { kind: 'failed', error });
      socket.resetAndDestroy();
    },
  });
  socket.on('drain', () => {
    const bytes = owed;
    owed = 0;
    if (!channel.closed) channel.consumed(bytes);
  });
  socket.on('data', (chunk: Buffer) => {
    if (!channel.write(chunk) && !channel.closed) socket.pause();
  });
  socket.on('end', () => channel.end());
  socket.on('error', (error) => (fault = error));
  socket.on('close', () => {
    if (!channel.closed) {
      if (fault === undefined) channel.end();
      else channel.reset('cancelled', `The local program broke off: ${fault.message}`);
    }
    resolve(ENDED);
  });
  // It may have gone while a link was looked for.
  if (socket.destroyed) {
    channel.reset('cancelled', 'The local program is gone.');
    resolve(ENDED);
  } else socket.resume();
  return promise;
}
