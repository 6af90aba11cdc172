import { readFile } from 'node:fs/promises';

const MAX_PORTS = 128;
/** TCP_LISTEN of Linux's include/net/tcp_states.h, as /proc prints it. */
const LISTEN = '0A';

/**
 * TCP ports on which something listens that loopback reaches, lowest first,
 * at most 128. Linux only (elsewhere: none); a hint for people, so every
 * failure means "none".
 */
export async function listeningPorts(allowed: (port: number) => boolean): Promise<number[]> {
  const tables = await Promise.all(
    ['/proc/self/net/tcp', '/proc/self/net/tcp6'].map((path) =>
      readFile(path, 'latin1').catch(() => ''),
    ),
  );
  const ports = new Set<number>();
  for (const table of tables) for (const port of parseTcpTable(table)) ports.add(port);
  return [...ports]
    .filter((port) => allowed(port))
    .sort((a, b) => a - b)
    .slice(0, MAX_PORTS);
}

/** Lines of proc_net_tcp: `sl local_address rem_address st …`, addresses as host-order hex words. */
export function* parseTcpTable(table: string): Generator<number> {
  for (const line of table.split('\n').slice(1)) {
    const [, local, , state] = line.trim().split(/\s+/);
    if (state !== LISTEN || !local) continue;
    const [address = '', port = ''] = local.split(':');
    if (reachableByLoopback(address)) yield Number.parseInt(port, 16);
  }
}

function reachableByLoopback(address: string): boolean {
  return (
    /^0+$/.test(address) || // any
    (address.length === 8 && address.endsWith('7F')) || // 127.0.0.0/8, first octet last
    address === '00000000000000000000000001000000' || // ::1
    /^0{16}FFFF0000.{6}7F$/i.test(address) // ::ffff:127.0.0.0/104
  );
}
