import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { OutboundError } from './outbound-error.ts';

export interface RawSocketOptions {
  /** The relay. */
  readonly url: URL;
  /** As `proxyFor` gives it; undefined: dial the relay itself. */
  readonly proxy: URL | undefined;
  /** PEM of authorities, for an `https://` proxy. */
  readonly ca?: string | readonly string[] | undefined;
  readonly signal: AbortSignal;
}

/**
 * The bytes below TLS and HTTP: a TCP connection to the relay, or a CONNECT tunnel through a proxy.
 * Rejects with OutboundError, or with the signal's reason.
 */
export async function openRawSocket(options: RawSocketOptions): Promise<Duplex> {
  const { proxy, signal } = options;
  signal.throwIfAborted();
  try {
    return await (proxy === undefined ? direct(options) : viaProxy(options, proxy));
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

/** Where a server listens; IPv6 literals without their brackets. */
export function endpointOf(url: URL): { host: string; port: number } {
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port };
}

function direct({ url, signal }: RawSocketOptions): Promise<Socket> {
  const { host, port } = endpointOf(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: loopbackName(host), port, noDelay: true });
    const onAbort = (): void => void socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
    };
    const onError = (error: Error): void => {
      settle();
      reject(unreachable(`The relay at ${url.host} cannot be reached`, error));
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
  });
}

/** RFC 6761: names under localhost are loopback; Node's resolver does not know the longer ones. */
function loopbackName(host: string): string {
  return host.endsWith('.localhost') ? 'localhost' : host;
}

function viaProxy({ url, ca, signal }: RawSocketOptions, proxy: URL): Promise<Duplex> {
  const { host, port } = endpointOf(url);
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const headers: Record<string, string> = { host: authority };
  if (proxy.username || proxy.password) {
    const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
    headers['proxy-authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`;
  }
  const secure = proxy.protocol === 'https:';
  return new Promise((resolve, reject) => {
    const connecting = (secure ? httpsRequest : httpRequest)({
      ...(secure && ca !== undefined ? { ca: typeof ca === 'string' ? ca : [...ca] } : {}),
      ...endpointOf(proxy),
      method: 'CONNECT',
      path: authority,
      headers,
      agent: false,
      signal,
    });
    connecting.once('error', (error) =>
      reject(unreachable(`The proxy ${proxy.host} cannot be reached`, error)),
    );
    // A 2xx opens the tunnel (RFC 9110 section 9.3.6); anything else is the proxy's refusal.
    connecting.once('connect', (response, socket, head) => {
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) {
        socket.destroy();
        reject(unreachable(`The proxy ${proxy.host} refused to connect to the relay (${status})`));
        return;
      }
      if (head.length > 0) socket.unshift(head);
      (socket as Socket).setNoDelay?.(true);
      resolve(socket);
    });
    connecting.once('response', (response) => {
      response.destroy();
      reject(
        unreachable(`The proxy ${proxy.host} answered CONNECT with ${response.statusCode ?? '?'}`),
      );
    });
    connecting.end();
  });
}

function unreachable(what: string, cause?: Error): OutboundError {
  const detail = (cause as NodeJS.ErrnoException | undefined)?.code ?? cause?.message;
  return new OutboundError('unreachable', detail ? `${what} (${detail})` : what, { cause });
}
