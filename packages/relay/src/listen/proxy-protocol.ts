import { isIP } from 'node:net';
import { plainAddress } from '../config/address-range.ts';

/**
 * The PROXY protocol, versions 1 and 2, by the specification of HAProxy
 * (proxy-protocol.txt, sections 2.1 and 2.2).
 */
export type ProxyHeader =
  /** More bytes are needed to tell. */
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'invalid'; readonly reason: string }
  /** `length` bytes of header. No address: the proxy speaks for itself (LOCAL, UNKNOWN). */
  | { readonly kind: 'header'; readonly length: number; readonly address: string | undefined };

const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V1_PREFIX = Buffer.from('PROXY ');
/** Section 2.1: the longest version 1 line, with CRLF. */
const V1_MAX = 107;
/** Our bound for version 2: 16 bytes, addresses, and room for TLVs. The format allows 64 KiB. */
const V2_MAX = 4096;
export const PROXY_HEADER_MAX = V2_MAX;

export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, V2_SIGNATURE)) return bytes.length < 16 ? incomplete : parseV2(bytes);
  if (startsLike(bytes, V1_PREFIX)) return parseV1(bytes);
  return invalid('the connection does not begin with a PROXY protocol header');
}

const incomplete: ProxyHeader = { kind: 'incomplete' };
const invalid = (reason: string): ProxyHeader => ({ kind: 'invalid', reason });

function startsLike(bytes: Buffer, prefix: Buffer): boolean {
  const length = Math.min(bytes.length, prefix.length);
  return bytes.compare(prefix, 0, length, 0, length) === 0;
}

function parseV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_MAX).indexOf('\r\n');
  if (end < 0)
    return bytes.length < V1_MAX ? incomplete : invalid('a PROXY line has no end within 107 bytes');
  const length = end + 2;
  const parts = bytes.toString('latin1', 0, end).split(' ');
  if (parts[1] === 'UNKNOWN') return { kind: 'header', length, address: undefined };
  const [, family, source, target, sourcePort, targetPort, more] = parts;
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : 0;
  const sound =
    version !== 0 &&
    isIP(source ?? '') === version &&
    isIP(target ?? '') === version &&
    isPort(sourcePort) &&
    isPort(targetPort) &&
    more === undefined;
  if (!sound || source === undefined || source.includes('%'))
    return invalid('a PROXY line is malformed');
  return { kind: 'header', length, address: plainAddress(source) };
}

function isPort(text: string | undefined): boolean {
  return text !== undefined && /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function parseV2(bytes: Buffer): ProxyHeader {
  const versionCommand = bytes.readUInt8(12);
  const family = bytes.readUInt8(13);
  const rest = bytes.readUInt16BE(14);
  const length = 16 + rest;
  if (versionCommand >> 4 !== 2) return invalid('a PROXY header has an unknown version');
  const command = versionCommand & 0x0f;
  if (command > 1) return invalid('a PROXY header has an unknown command');
  if (length > V2_MAX) return invalid(`a PROXY header is longer than ${V2_MAX} bytes`);
  if (bytes.length < length) return incomplete;
  if (command === 0) return { kind: 'header', length, address: undefined };
  if (family === 0x11 || family === 0x12) {
    if (rest < 12) return invalid('a PROXY header is too short for IPv4');
    return { kind: 'header', length, address: bytes.subarray(16, 20).join('.') };
  }
  if (family === 0x21 || family === 0x22) {
    if (rest < 36) return invalid('a PROXY header is too short for IPv6');
    return { kind: 'header', length, address: ipv6(bytes.subarray(16, 32)) };
  }
  // Unix sockets and unspecified: section 2.2 asks to accept them and use the real address.
  return { kind: 'header', length, address: undefined };
}

function ipv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    bytes.readUInt16BE(index * 2).toString(16),
  );
  // The URL parser writes the shortest form (RFC 5952).
  const text = new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
  const mapped = text.startsWith('::ffff:') ? bytes.subarray(12).join('.') : undefined;
  return mapped ?? text;
}
