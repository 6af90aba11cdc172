import type { Socket } from 'node:net';
import { TunnelError, type Link, type LinkHandler, type WelcomeInfo } from '@burrow/tunnel';
import { dialGrpc } from '@burrow/tunnel/grpc';
import type { RelayInfo } from '../routing/registry.ts';
import { ask } from './ask.ts';
import { connectPeer } from './connect.ts';
import type { PeerSelf } from './contracts.ts';
import type { PeerTls } from './tls.ts';
import type { PeerTokens } from './tokens.ts';

export interface DialDeps {
  readonly self: PeerSelf;
  readonly tokens: PeerTokens;
  readonly tls: PeerTls | undefined;
  /** How long a peer may take to end a connection whose link is over. */
  readonly closeMs: number;
}

export const CHALLENGE_PATH = '/challenge';
const CHALLENGE_BYTES = 1_024;

/** Somebody else answers at a relay's address: it is gone, or it never was there. */
export class WrongRelay extends TunnelError {}

/** One dial. Rejects with TunnelError (WrongRelay: nobody is to try again) or with the signal's reason. */
export async function dialPeer(
  relay: RelayInfo,
  deps: DialDeps,
  handler: LinkHandler,
  signal: AbortSignal,
): Promise<Link> {
  try {
    return await dialOnce(relay, deps, handler, signal);
  } catch (error) {
    if (!(error instanceof TunnelError) || error.code !== 'token-expired') throw error;
  }
  // The two clocks differ. The other relay's own challenge takes their place.
  const challenge = await ask({
    url: new URL(relay.peerUrl),
    path: CHALLENGE_PATH,
    tls: deps.tls,
    maxBytes: CHALLENGE_BYTES,
    signal,
  });
  return dialOnce(relay, deps, handler, signal, challenge);
}

async function dialOnce(
  relay: RelayInfo,
  { self, tokens, tls, closeMs }: DialDeps,
  handler: LinkHandler,
  signal: AbortSignal,
  challenge?: string,
): Promise<Link> {
  const url = new URL(relay.peerUrl);
  const token = await tokens.mint(relay, 'link', challenge);
  let socket: Socket | undefined;
  const { link, welcome } = await dialGrpc({
    // TLS is made below, with our own certificate.
    url: new URL(`http://${url.host}`),
    connect: async (within) => (socket = await connectPeer(url, tls, within)),
    token,
    hello: {
      instanceId: self.incarnation,
      software: `burrow-relay/${self.version}`,
      listeningPorts: [],
      sshHostKey: '',
      sshServer: 'none',
      sshUser: '',
      label: self.id,
    },
    handler: {
      ...handler,
      onClose(error) {
        if (socket !== undefined) endSoon(socket, closeMs);
        handler.onClose(error);
      },
    },
    signal,
  }).catch((error: unknown) => {
    if (socket !== undefined) endSoon(socket, closeMs);
    throw tls !== undefined && error instanceof TunnelError && error.code === 'link-lost'
      ? distrusted(url, error)
      : error;
  });
  const fault = faultOf(relay, url, welcome, tokens.isProof(welcome.workload, token));
  if (fault === undefined) return link;
  link.close(fault);
  throw fault;
}

/** In TLS 1.3 a side learns only after its own handshake that its certificate was refused, and HTTP/2 hides how. */
function distrusted(url: URL, cause: TunnelError): TunnelError {
  return new TunnelError(
    'unavailable',
    `The relay at ${url.host} ended the connection after TLS: is this relay's certificate (cluster.peer.tls) from the authority that it trusts?`,
    { cause },
  );
}

/** A peer that has gone silent never ends its half, and would keep the socket for as long as the kernel tries. */
function endSoon(socket: Socket, withinMs: number): void {
  if (socket.destroyed) return;
  const late = setTimeout(() => socket.destroy(), withinMs).unref();
  socket.once('close', () => clearTimeout(late));
}

function faultOf(
  relay: RelayInfo,
  url: URL,
  { relayId, relayIncarnation }: WelcomeInfo,
  proven: boolean,
): WrongRelay | undefined {
  if (relayId !== relay.id || relayIncarnation !== relay.incarnation) {
    return new WrongRelay(
      'unavailable',
      `At ${url.host} answers “${relayId}”, run ${relayIncarnation.slice(0, 8)}, instead of “${relay.id}”, run ${relay.incarnation.slice(0, 8)}.`,
    );
  }
  if (proven) return undefined;
  return new WrongRelay(
    'unavailable',
    `What answers at ${url.host} says that it is “${relay.id}”, but does not know this cluster's secret.`,
  );
}
