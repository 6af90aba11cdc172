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
  { self, tokens, tls }: DialDeps,
  handler: LinkHandler,
  signal: AbortSignal,
  challenge?: string,
): Promise<Link> {
  const url = new URL(relay.peerUrl);
  const token = await tokens.mint(relay, 'link', challenge);
  const { link, welcome } = await dialGrpc({
    // TLS is made below, with our own certificate.
    url: new URL(`http://${url.host}`),
    connect: (within) => connectPeer(url, tls, within),
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
    handler,
    signal,
  });
  const fault = faultOf(relay, url, welcome, tokens.isProof(welcome.workload, token));
  if (fault === undefined) return link;
  link.close(fault);
  throw fault;
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
