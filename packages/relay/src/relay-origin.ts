import type { IncomingHttpHeaders } from 'node:http';
import { isIPv6 } from 'node:net';
import type { AddressSet } from './config/address-range.ts';
import { parseHost, type HostNames } from './http/policy/host.ts';
import type { LinkOrigin } from './links/admission.ts';
import type { ConnectionInfo } from './listen/connection.ts';
import { clientOf } from './listen/forwarded.ts';

/** Part of the composition root: whence a link comes, and under which name it came without TLS. */
export interface LinkOrigins {
  /** Of a gRPC call. */
  ofStream(authority: string, headers: IncomingHttpHeaders, info: ConnectionInfo): LinkOrigin;
  /** Of a WebSocket, whose request the gateway passed on. */
  ofUpgrade(headers: IncomingHttpHeaders): LinkOrigin;
}

export function linkOrigins(hosts: HostNames, trusted: AddressSet): LinkOrigins {
  /** `peer`: the other end of the connection; when it is the very address that was dialled, all stays on this machine. */
  const originOf = (
    authority: string,
    { remoteAddress, secure }: { readonly remoteAddress: string; readonly secure: boolean },
    peer: string,
  ): LinkOrigin => {
    const { loopback, name } = parseHost(authority.toLowerCase(), secure, hosts);
    const covered = secure || loopback || name === (isIPv6(peer) ? `[${peer}]` : peer);
    return { remoteAddress, plaintextHost: covered ? undefined : name };
  };
  return {
    ofStream(authority, headers, info) {
      const client = clientOf(
        info,
        oneLine(headers['x-forwarded-for']),
        oneLine(headers['x-forwarded-proto']),
        trusted,
      );
      return originOf(authority, client, info.remoteAddress);
    },
    ofUpgrade(headers) {
      const hops = forwardedHops(headers);
      const client = {
        remoteAddress: hops[0] ?? '',
        secure: headers['x-forwarded-proto'] === 'https',
      };
      return originOf(headers.host ?? '', client, hops.at(-1) ?? '');
    },
  };
}

/** From the client to the peer of our socket: the gateway lists hops that trusted proxies vouch for. */
export function forwardedHops(headers: IncomingHttpHeaders): string[] {
  return (oneLine(headers['x-forwarded-for']) ?? '').split(',').map((hop) => hop.trim());
}

function oneLine(field: string | string[] | undefined): string | undefined {
  return Array.isArray(field) ? field.join(',') : field;
}
