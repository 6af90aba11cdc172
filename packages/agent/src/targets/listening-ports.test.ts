import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { listeningPorts, parseTcpTable } from './listening-ports.ts';

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000
   2: 0502000A:2328 00000000:0000 0A 00000000:00000000
   3: 0100007F:C350 0100007F:0BB8 01 00000000:00000000
   4: 00000000000000000000000001000000:0BB9 00000000000000000000000000000000:0000 0A
   5: 0000000000000000FFFF00000100007F:0BBA 00000000000000000000000000000000:0000 0A
   6: 000080FE000000000000000001000000:0BBB 00000000000000000000000000000000:0000 0A
`;

test('listeners on loopback and on every address count, others do not', () => {
  assert.deepEqual([...parseTcpTable(TABLE)], [3000, 8080, 3001, 3002]);
});

test('a real listener is found on Linux, within what is allowed', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const expected = process.platform === 'linux' ? [port] : [];
  assert.deepEqual(await listeningPorts((candidate) => candidate === port), expected);
});
