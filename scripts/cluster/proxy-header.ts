import { isIPv4 } from 'node:net';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

export interface Endpoints {
  readonly sourceAddress: string | undefined;
  readonly sourcePort: number | undefined;
  readonly targetAddress: string | undefined;
  readonly targetPort: number | undefined;
}

/**
 * A PROXY protocol header, version 2, of a TCP connection over IPv4; for anything else one that
 * says LOCAL (proxy-protocol.txt, section 2.2).
 */
export function proxyHeader(ends: Endpoints): Buffer {
  const { sourceAddress = '', targetAddress = '', sourcePort, targetPort } = ends;
  const known = isIPv4(sourceAddress) && isIPv4(targetAddress);
  const header = Buffer.alloc(known ? 28 : 16);
  SIGNATURE.copy(header);
  header.writeUInt8(known ? 0x21 : 0x20, 12);
  header.writeUInt8(known ? 0x11 : 0x00, 13);
  header.writeUInt16BE(known ? 12 : 0, 14);
  if (known) {
    header.set(sourceAddress.split('.').map(Number), 16);
    header.set(targetAddress.split('.').map(Number), 20);
    header.writeUInt16BE(sourcePort ?? 0, 24);
    header.writeUInt16BE(targetPort ?? 0, 26);
  }
  return header;
}
