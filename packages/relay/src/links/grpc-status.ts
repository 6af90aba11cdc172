import type { ServerHttp2Stream } from 'node:http2';

/** The status codes in use, by the gRPC specification (statuscodes.md). */
export const GrpcStatus = {
  ok: 0,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

export type GrpcStatusCode = (typeof GrpcStatus)[keyof typeof GrpcStatus];

/** `grpc-message`: printable ASCII as it is, all else and `%` as %XX of UTF-8 (PROTOCOL-HTTP2.md, Status-Message). */
export function encodeMessage(message: string): string {
  let out = '';
  for (const byte of Buffer.from(message, 'utf8')) {
    out +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

export function statusTrailers(status: GrpcStatusCode, message = ''): Record<string, string> {
  return {
    'grpc-status': String(status),
    ...(message === '' ? {} : { 'grpc-message': encodeMessage(message) }),
  };
}

/** Ends a call before its first message: one header block, no body (trailers-only). */
export function refuseCall(
  stream: ServerHttp2Stream,
  status: GrpcStatusCode,
  message: string,
): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', ...statusTrailers(status, message) },
    { endStream: true },
  );
  // What the caller still sends is read and dropped, so that the stream can end.
  stream.resume();
}
