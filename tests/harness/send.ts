import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';

export interface SendOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  json<T = unknown>(): T;
}

/**
 * One HTTP/1.1 request to a URL whose name, whatever it is, means this machine.
 * Follows no redirect, keeps no cookie and no connection.
 */
export function send(url: string | URL, options: SendOptions = {}, ca?: string): Promise<Answer> {
  const { hostname, port, protocol, pathname, search, host } = new URL(url);
  const secure = protocol === 'https:';
  return new Promise((resolve, reject) => {
    const sent = (secure ? httpsRequest : httpRequest)({
      host: '127.0.0.1',
      port: port === '' ? (secure ? 443 : 80) : Number(port),
      path: pathname + search,
      method: options.method ?? 'GET',
      headers: { host, ...options.headers } as Record<string, string | string[]>,
      agent: false,
      signal: options.signal ?? AbortSignal.timeout(30_000),
      ...(secure ? { servername: hostname, ...(ca === undefined ? {} : { ca }) } : {}),
    });
    sent.once('error', reject);
    sent.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const body = Buffer.concat(chunks);
        const text = body.toString();
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body,
          text,
          json: <T>() => JSON.parse(text) as T,
        });
      });
    });
    sent.end(options.body);
  });
}
