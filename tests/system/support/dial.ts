/** Sockets to a relay whose bytes the test writes itself. */
import { readFileSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Burrow } from '../../harness/burrow.ts';

/** TCP to any port of this machine. Half-open: the test ends its side itself. */
export function dialPlain(port: number): Socket {
  return connectTcp({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
}

/** HTTP/1 to a relay, over TLS where it has a certificate; what is written waits for the handshake. */
export function dial(burrow: Burrow, authority: string): Socket {
  if (burrow.certificate === undefined) return dialPlain(burrow.port);
  // Its types do not know `allowHalfOpen`.
  const halfOpen = { allowHalfOpen: true };
  return connectTls({
    port: burrow.port,
    host: '127.0.0.1',
    ...halfOpen,
    ...trusting(burrow, authority),
    ALPNProtocols: ['http/1.1'],
  });
}

/** HTTP/2 to a relay, with or without TLS. `authority` is for the certificate: requests name their own. */
export function dialHttp2(burrow: Burrow, authority: string): ClientHttp2Session {
  if (burrow.certificate === undefined) return connectHttp2(`http://127.0.0.1:${burrow.port}`);
  return connectHttp2(`https://127.0.0.1:${burrow.port}`, trusting(burrow, authority));
}

function trusting(burrow: Burrow, authority: string): { servername: string; ca: string } {
  return {
    servername: authority.replace(/:[0-9]+$/, ''),
    ca: readFileSync(burrow.certificate?.certFile ?? '', 'utf8'),
  };
}
