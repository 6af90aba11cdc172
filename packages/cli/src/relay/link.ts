import { randomBytes } from 'node:crypto';
import { certificateFault, openRawSocket, OutboundError } from '@burrow/outbound';
import {
  TunnelError,
  type Dial,
  type DialOptions,
  type Link,
  type LinkHandler,
} from '@burrow/tunnel';
import { CliError, EXIT } from '../cli-error.ts';
import type { Settings } from '../settings/settings.ts';
import { VERSION } from '../version.ts';
import { readCa } from './authorities.ts';
import { withSystemRoots } from './http.ts';
import { explainOutbound, proxyTo } from './outbound.ts';
import { untrusted } from './untrusted.ts';

/** How long gRPC may take before something on the way is suspected to swallow it. ms */
const GRPC_WITHIN_MS = 5_000;
const WITHIN_MS = 15_000;

export type TransportChoice = 'auto' | 'grpc' | 'websocket';

/** As the environment says. Throws CliError. */
export function transportChoice(): TransportChoice {
  const choice = process.env['BURROW_TRANSPORT'] || 'auto';
  if (choice === 'auto' || choice === 'grpc' || choice === 'websocket') return choice;
  throw new CliError('BURROW_TRANSPORT is auto, grpc or websocket.', EXIT.usage);
}

/**
 * Opens a link to the relay: gRPC, or WebSocket where something on the way breaks HTTP/2. Rejects with CliError, or
 * with the signal's reason.
 */
export async function openLink(
  settings: Settings,
  handler: LinkHandler,
  choice: TransportChoice,
  signal: AbortSignal,
): Promise<Link> {
  const ca = readCa(settings.caFile);
  const proxy = proxyTo(settings.url);
  let reached = false;
  const options = (withinMs: number): DialOptions => ({
    url: settings.url,
    token: settings.token,
    hello: {
      instanceId: randomBytes(16).toString('hex'),
      software: `burrow-cli/${VERSION}`,
      listeningPorts: [],
      sshHostKey: '',
      sshServer: 'none',
      sshUser: '',
      label: '',
    },
    handler,
    ...(ca === undefined ? {} : { ca }),
    async connect(dialling) {
      const socket = await openRawSocket({
        url: settings.url,
        proxy,
        ca: ca === undefined ? undefined : await withSystemRoots(ca),
        signal: dialling,
      });
      reached = true;
      return socket;
    },
    signal: AbortSignal.any([signal, AbortSignal.timeout(withinMs)]),
  });
  if (choice !== 'websocket') {
    try {
      return await dial('grpc', options(choice === 'auto' ? GRPC_WITHIN_MS : WITHIN_MS));
    } catch (error) {
      signal.throwIfAborted();
      if (choice === 'grpc' || !reached || !looksLikeMiddlebox(error))
        throw explain(error, settings);
    }
  }
  try {
    return await dial('websocket', options(WITHIN_MS));
  } catch (error) {
    signal.throwIfAborted();
    throw explain(error, settings);
  }
}

async function dial(transport: 'grpc' | 'websocket', options: DialOptions): Promise<Link> {
  const connect: Dial =
    transport === 'grpc'
      ? (await import('@burrow/tunnel/grpc')).dialGrpc
      : (await import('@burrow/tunnel/websocket')).dialWebSocket;
  return (await connect(options)).link;
}

/** A connection was made, yet no relay spoke. What a relay said itself, and certificate faults, would be the same. */
function looksLikeMiddlebox(error: unknown): boolean {
  if (error instanceof OutboundError) return false;
  if (!(error instanceof TunnelError)) return true;
  if (error.remote) return error.code === 'protocol-error' || error.code === 'unavailable';
  return certificateFault(error) === undefined;
}

function explain(error: unknown, settings: Settings): CliError {
  const outbound = explainOutbound(error);
  if (outbound !== undefined) return outbound;
  const { host } = settings.url;
  const options = { cause: error };
  const certificate = certificateFault(error);
  if (certificate !== undefined) return untrusted(settings.url, certificate, error);
  if (error instanceof TunnelError) {
    const exit = error.code.startsWith('token-') ? EXIT.notSignedIn : EXIT.unreachable;
    return new CliError(error.message, exit, options);
  }
  const { name, message } = error as Error;
  return new CliError(
    name === 'TimeoutError'
      ? `The relay at ${host} did not answer in time. Check your network and the relay's URL.`
      : `No connection to the relay at ${host}: ${message}`,
    EXIT.unreachable,
    options,
  );
}
