import { isIP } from 'node:net';
import { plainAddress, type AddressSet } from '../config/address-range.ts';
import type { ConnectionInfo } from './connection.ts';

export interface Client {
  /** Address of the client, as far out as trusted proxies vouch for it. No port. */
  readonly remoteAddress: string;
  /** The browser's own leg is TLS. */
  readonly secure: boolean;
}

/** Entries of X-Forwarded-For that are looked at. */
const MAX_HOPS = 32;

/**
 * Who sent a request. X-Forwarded-For is read from the right, each address only
 * as long as the one to its right is a trusted proxy; X-Forwarded-Proto counts
 * by its last value, the one that the nearest proxy wrote. From anyone else both are noise.
 */
export function clientOf(
  connection: ConnectionInfo,
  forwardedFor: string | undefined,
  forwardedProto: string | undefined,
  trusted: AddressSet,
): Client {
  if (!connection.trustedProxy) return connection;
  const remoteAddress = vouchedHops(forwardedFor, trusted)[0] ?? connection.remoteAddress;
  const proto = forwardedProto?.split(',').at(-1)?.trim().toLowerCase();
  return { remoteAddress, secure: proto === undefined ? connection.secure : proto === 'https' };
}

/**
 * The addresses in a trusted peer's X-Forwarded-For that trusted proxies vouch
 * for, the client first, bare. Empty: it names nobody, so the peer is the client.
 */
export function vouchedHops(forwardedFor: string | undefined, trusted: AddressSet): string[] {
  const hops = forwardedFor?.split(',') ?? [];
  const vouched: string[] = [];
  for (let i = hops.length - 1; i >= 0 && i >= hops.length - MAX_HOPS; i--) {
    const address = hopAddress(hops[i] ?? '');
    if (address === undefined) break;
    vouched.unshift(address);
    if (!trusted.has(address)) break;
  }
  return vouched;
}

/** `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]`, `[::1]:5`. */
function hopAddress(text: string): string | undefined {
  const hop = text.trim();
  const bracket = /^\[([^\]]+)\](?::\d+)?$/.exec(hop)?.[1];
  const bare = bracket ?? (/^[^:]+:\d+$/.test(hop) ? hop.slice(0, hop.indexOf(':')) : hop);
  return isIP(bare) === 0 ? undefined : plainAddress(bare);
}
