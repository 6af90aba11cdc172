import { request as httpRequest, type ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import { certificateFault, endpointOf, openRawSocket } from '@burrow/outbound';
import { CliError, EXIT } from '../cli-error.ts';
import type { Settings } from '../settings/settings.ts';
import { readCa } from './authorities.ts';
import { explainOutbound, proxyTo } from './outbound.ts';
import { untrusted } from './untrusted.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** The API's answers are small; more is not from a relay. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** One request over a connection of its own, through the environment's proxy, with the relay's authorities. Rejects with CliError. */
export function ask(
  settings: Pick<Settings, 'url' | 'caFile'>,
  path: string,
  what: Ask,
): Promise<Answer> {
  return askFor(settings, path, what, (request) => exchange(request, what.body));
}

/** The same, with the answer read by `read`, which ends the request (`request.end(body)`) itself. */
export async function askFor<T>(
  settings: Pick<Settings, 'url' | 'caFile'>,
  path: string,
  { method = 'GET', headers = {}, body, signal }: Ask,
  read: (request: ClientRequest) => Promise<T>,
): Promise<T> {
  const { url } = settings;
  const ca = readCa(settings.caFile);
  const roots = ca === undefined ? undefined : await withSystemRoots(ca);
  try {
    const raw = await openRawSocket({ url, proxy: proxyTo(url), ca: roots, signal });
    const socket =
      url.protocol === 'https:'
        ? await secured(raw as Socket, url, roots, signal)
        : (raw as Socket);
    return await read(
      httpRequest({
        createConnection: () => socket,
        method,
        path,
        headers: {
          host: url.host,
          connection: 'close',
          ...headers,
          ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
        },
        signal,
      }),
    );
  } catch (error) {
    throw explain(error, url, signal);
  }
}

function exchange(request: ClientRequest, body: string | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.once('error', reject);
    request.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (text.length > MAX_ANSWER_BYTES) request.destroy(new Error('the answer is too long'));
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.once('error', reject);
    });
    request.end(body);
  });
}

async function secured(
  socket: Socket,
  url: URL,
  ca: string[] | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const { connect } = await import('node:tls');
  const { host } = endpointOf(url);
  return new Promise((resolve, reject) => {
    const secure = connect({
      socket,
      host,
      ALPNProtocols: ['http/1.1'],
      // SNI (RFC 6066) allows no addresses.
      ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
      ...(ca === undefined ? {} : { ca }),
    });
    const onAbort = (): void => void secure.destroy(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    secure.once('error', reject);
    secure.once('secureConnect', () => {
      signal.removeEventListener('abort', onAbort);
      resolve(secure);
    });
  });
}

function explain(error: unknown, url: URL, signal: AbortSignal): CliError {
  if (error instanceof CliError) return error;
  const outbound = explainOutbound(error);
  if (outbound !== undefined) return outbound;
  const certificate = certificateFault(error);
  if (certificate !== undefined) return untrusted(url, certificate, error);
  return new CliError(
    signal.aborted
      ? `The relay at ${url.host} did not answer in time. Check your network and the relay's URL.`
      : `The relay at ${url.host} cannot be reached: ${(error as Error).message}. Check your network and the relay's URL.`,
    EXIT.unreachable,
    { cause: error },
  );
}

export async function withSystemRoots(ca: string): Promise<string[]> {
  const { rootCertificates } = await import('node:tls');
  return [...rootCertificates, ca];
}
