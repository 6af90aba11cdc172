import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A listening TCP socket of this machine, as Linux tells it. */
export interface ListeningSocket {
  /** `127.0.0.1`, `0.0.0.0`, `::`, or the raw hex digits of another IPv6 address. */
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

const LISTEN = '0A';

/** Four bytes, each two hex digits, in the machine's (little-endian) order. */
function ipv4(hex: string): string {
  return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join('.');
}

function ipv6(hex: string): string {
  if (/^0+$/.test(hex)) return '::';
  if (hex === '00000000000000000000000001000000') return '::1';
  if (hex.startsWith('0000000000000000FFFF0000')) return ipv4(hex.slice(24));
  return hex;
}

/** All listening TCP sockets, from /proc/net (Linux; elsewhere none). */
export function listeningSockets(): ListeningSocket[] {
  const found: ListeningSocket[] = [];
  for (const table of ['tcp', 'tcp6']) {
    let text: string;
    try {
      text = readFileSync(`/proc/net/${table}`, 'utf8');
    } catch {
      continue;
    }
    for (const line of text.split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      const [address = '', port = ''] = (fields[1] ?? '').split(':');
      if (fields[3] !== LISTEN) continue;
      found.push({
        address: address.length === 8 ? ipv4(address) : ipv6(address),
        port: Number.parseInt(port, 16),
        inode: fields[9] ?? '',
      });
    }
  }
  return found;
}

/** Inodes of the sockets that a process holds; empty when it is gone or another user's. */
export function socketInodes(pid: number): Set<string> {
  const inodes = new Set<string>();
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return inodes;
  }
  for (const name of names) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // Closed meanwhile.
    }
  }
  return inodes;
}

/** Who listens on a port: `process 123 (node scripts/start.ts)`; undefined when that cannot be told. */
export function portOwner(port: number): string | undefined {
  const inodes = listeningSockets()
    .filter((socket) => socket.port === port)
    .map((socket) => socket.inode);
  if (inodes.length === 0) return undefined;
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const own = socketInodes(Number(name));
    if (!inodes.some((inode) => own.has(inode))) continue;
    let program = '';
    try {
      // The program's name only: arguments may hold what should not be shown.
      program = readFileSync(`/proc/${name}/comm`, 'utf8').trim();
    } catch {
      // Gone meanwhile.
    }
    return program === '' ? `process ${name}` : `process ${name} (${program})`;
  }
  return undefined;
}
