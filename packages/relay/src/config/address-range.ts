import { BlockList, isIP } from 'node:net';
import { z } from 'zod';

/** `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`, or `loopback`. */
export const addressRange = z
  .string()
  .refine((text) => text === 'loopback' || parseRange(text) !== undefined, {
    message: 'must be an IP address, a range such as 10.0.0.0/8, or `loopback`',
  });

interface Range {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

function parseRange(text: string): Range | undefined {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const version = isIP(address);
  if (version === 0 || address.includes('%')) return undefined;
  const bits = version === 4 ? 32 : 128;
  const suffix = slash < 0 ? String(bits) : text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(suffix) || Number(suffix) > bits) return undefined;
  return { address, prefix: Number(suffix), family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** A set of addresses; IPv4 addresses mapped into IPv6 are seen as IPv4. */
export interface AddressSet {
  has(address: string): boolean;
}

export function addressSet(ranges: readonly string[]): AddressSet {
  if (ranges.length === 0) return { has: () => false };
  const list = new BlockList();
  for (const text of ranges.flatMap((range) =>
    range === 'loopback' ? ['127.0.0.0/8', '::1'] : [range],
  )) {
    const range = parseRange(text);
    if (range === undefined) throw new TypeError(`not an address range: ${text}`);
    list.addSubnet(range.address, range.prefix, range.family);
  }
  return {
    has(raw) {
      const address = plainAddress(raw);
      const version = isIP(address);
      return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6');
    },
  };
}

/** `::ffff:10.0.0.1` is `10.0.0.1`; a zone (`%eth0`) is dropped. */
export function plainAddress(address: string): string {
  const zone = address.indexOf('%');
  const bare = zone < 0 ? address : address.slice(0, zone);
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(bare) ? bare.slice(7) : bare;
}

export function isLoopback(address: string): boolean {
  const plain = plainAddress(address);
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}
