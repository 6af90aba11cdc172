import { connect as tcpConnect, type Socket } from 'node:net';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { TunnelError } from '@burrow/tunnel';

export interface RawSocketOptions {
  /** The relay. */
  readonly url: URL;
  /** `http://` or `https://` proxy, perhaps with credentials; undefined: dial the relay itself. */
  readonly proxy: URL | undefined;
  /** PEM of extra authorities, for an `https://` proxy. */
  readonly ca?: string | undefined;
  readonly signal: AbortSignal;
}

/** The bytes below TLS and HTTP/2: a TCP connection to the relay, or a CONNECT tunnel through a proxy. */
export function openRawSocket(options: RawSocketOptions): Promise<Duplex> {
  return options.proxy ? viaProxy(options, options.proxy) : direct(options);
}

/** Where the relay listens; IPv6 literals without their brackets. */
function endpoint(url: URL): { host: string; port: number } {
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port };
}

function direct({ url, signal }: RawSocketOptions): Promise<Socket> {
  const { host, port } = endpoint(url);
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = tcpConnect({ host: loopbackName(host), port, noDelay: true });
    const onAbort = () => socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    const settle = () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
    };
    const onError = (error: Error) => {
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

function viaProxy(options: RawSocketOptions, proxy: URL): Promise<Duplex> {
  const { url, signal } = options;
  const relay = endpoint(url);
  const authority = `${relay.host.includes(':') ? `[${relay.host}]` : relay.host}:${relay.port}`;
  const headers: Record<string, string> = { host: authority };
  if (proxy.username || proxy.password) {
    const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
    headers['proxy-authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`;
  }
  const request = proxy.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const connecting = request({
      ...(options.ca !== undefined && proxy.protocol === 'https:' ? { ca: options.ca } : {}),
      host: proxy.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
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

function unreachable(what: string, cause?: Error): TunnelError {
  const detail = (cause as NodeJS.ErrnoException | undefined)?.code ?? cause?.message;
  return new TunnelError('unavailable', detail ? `${what} (${detail})` : what, { cause });
}
