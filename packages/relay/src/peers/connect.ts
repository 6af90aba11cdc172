import { connect as tcpConnect, type Socket } from 'node:net';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import { TunnelError } from '@burrow/tunnel';
import type { PeerTls } from './tls.ts';

/**
 * A connection to another relay's peer port: TCP, or TLS in which both sides show a certificate of the
 * cluster's authority. Rejects with TunnelError or the signal's reason.
 */
export function connectPeer(
  url: URL,
  tls: PeerTls | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const secure = url.protocol === 'https:';
  if (secure !== (tls !== undefined)) {
    const what = secure
      ? 'it speaks TLS, but this relay has no cluster.peer.tls'
      : 'it speaks no TLS, but this relay has cluster.peer.tls';
    return Promise.reject(
      new TunnelError('unavailable', `The relay at ${url.host} is not dialled: ${what}.`),
    );
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port || (secure ? 443 : 80));
  const raw = { host, port, noDelay: true };
  if (tls === undefined) return ready(tcpConnect(raw), 'connect', url, signal);
  const named = /^[\d.]+$/.test(host) || host.includes(':') ? {} : { servername: host };
  const socket = tlsConnect({
    ...raw,
    ...tls.current,
    ...named,
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.3',
  });
  return ready(socket, 'secureConnect', url, signal);
}

function ready(
  socket: Socket | TLSSocket,
  event: string,
  url: URL,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      socket.off(event, onReady).off('error', onError).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: unknown): void => {
      settle();
      reject(error as Error);
      socket.on('error', () => {}).destroy();
    };
    const onReady = (): void => {
      settle();
      resolve(socket);
    };
    const onError = (cause: Error): void =>
      fail(
        new TunnelError('unavailable', `No connection to ${url.host}: ${cause.message}`, { cause }),
      );
    const onClose = (): void =>
      fail(new TunnelError('unavailable', `No connection to ${url.host}: it was closed.`));
    const onAbort = (): void => fail(signal.reason);
    socket.once(event, onReady).once('error', onError).once('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
