/** Whom a request comes from: the connection's peer, or whom a trusted proxy names in its fields. */
import { clientOf, type Client } from '../listen/forwarded.ts';
import { lookup } from './characters.ts';
import type { ConnectionInfo } from './engine.ts';
import type { GatewayDeps } from './gateway-deps.ts';
import type { ForwardedBy } from './headers.ts';

export function clientOfHead(
  info: ConnectionInfo,
  headers: readonly string[],
  trusted: GatewayDeps['trusted'],
): Client {
  if (!info.trustedProxy) return info;
  return clientOf(
    info,
    lookup(headers, 'x-forwarded-for'),
    lookup(headers, 'x-forwarded-proto'),
    trusted,
  );
}

/** What the app is told of the way. */
export function forwardedBy(
  info: ConnectionInfo,
  headers: readonly string[],
  authority: string,
  secure: boolean,
): ForwardedBy {
  return {
    peerAddress: info.remoteAddress,
    forwardedFor: info.trustedProxy ? lookup(headers, 'x-forwarded-for') : undefined,
    forwarded: info.trustedProxy ? lookup(headers, 'forwarded') : undefined,
    secure,
    authority,
  };
}
