import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';

import type { TunnelError } from '../errors.ts';
import { greetAsAcceptor } from '../link/handshake.ts';
import type { AcceptedLink, AcceptOptions } from '../types.ts';
import { Http2Transport } from './http2-transport.ts';
import { dedicate } from './settings.ts';
import { trailersOf } from './status.ts';

export const CONNECT_PATH = '/burrow.tunnel.v1.TunnelService/Connect';
export const CONTENT_TYPE = 'application/grpc+proto';

/** Turns an authenticated call of TunnelService.Connect into a link. */
export function acceptGrpc(
  stream: ServerHttp2Stream,
  _headers: IncomingHttpHeaders,
  options: AcceptOptions,
): Promise<AcceptedLink | undefined> {
  if (stream.session !== undefined) dedicate(stream.session);
  let trailers: Record<string, string> = { 'grpc-status': '0' };
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.respond({ ':status': 200, 'content-type': CONTENT_TYPE }, { waitForTrailers: true });
  const transport = new Http2Transport(stream, {
    close: (error) => {
      trailers = trailersOf(error);
      stream.end();
      // No reset here: it would overtake the trailers. A dialler ends its half when
      // they arrive; for one that does not, the transport ends the session.
    },
    reason: () => undefined,
  });
  return greetAsAcceptor(transport, options);
}

/** Answers a call with an error and nothing else ("Trailers-Only" in gRPC's words). */
export function refuseGrpc(stream: ServerHttp2Stream, error: TunnelError): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond(
    { ':status': 200, 'content-type': CONTENT_TYPE, ...trailersOf(error) },
    { endStream: true },
  );
}
