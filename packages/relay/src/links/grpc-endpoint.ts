import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { acceptGrpc, CONNECT_PATH, refuseGrpc } from '@burrow/tunnel/grpc';
import { file_burrow_tunnel_v1_tunnel } from '@burrow/tunnel/descriptor';
import { bearerToken } from '../auth/bearer.ts';
import { file_grpc_health_v1_health } from '../gen/grpc/health/v1/health_pb.js';
import { file_grpc_reflection_v1_reflection } from '../gen/grpc/reflection/v1/reflection_pb.js';
import { file_grpc_reflection_v1alpha_reflection } from '../gen/grpc/reflection/v1alpha/reflection_pb.js';
import { CallError, GrpcCall } from './grpc-call.ts';
import { grpcHealth } from './grpc-health.ts';
import { grpcReflection } from './grpc-reflection.ts';
import { GrpcStatus, refuseCall } from './grpc-status.ts';
import type { Admission, LinkOrigin } from './admission.ts';
import type { LinksLog } from './links.ts';

const FILES = [
  file_burrow_tunnel_v1_tunnel,
  file_grpc_health_v1_health,
  file_grpc_reflection_v1_reflection,
  file_grpc_reflection_v1alpha_reflection,
];

export interface GrpcEndpoint {
  /** Takes a stream whose content type is gRPC's. Never throws. */
  handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, from: LinkOrigin): void;
  setServing(serving: boolean): void;
  stop(): void;
}

/** Is this request a gRPC call (PROTOCOL-HTTP2.md: content types that begin so)? */
export function isGrpc(headers: IncomingHttpHeaders): boolean {
  const type = headers['content-type'];
  return type !== undefined && /^application\/grpc($|[+;])/i.test(type);
}

/** The gRPC services of the relay: links, health, reflection. */
export function grpcEndpoint(admission: Admission, log: LinksLog): GrpcEndpoint {
  const health = grpcHealth(
    FILES.flatMap((file) => file.services.map((service) => service.typeName)),
  );
  const reflect = grpcReflection(FILES);
  const methods = new Map<string, (call: GrpcCall) => Promise<void>>([
    ['/grpc.health.v1.Health/Check', (call) => health.check(call)],
    ['/grpc.health.v1.Health/Watch', (call) => health.watch(call)],
    ['/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', reflect],
    ['/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', reflect],
  ]);

  async function run(
    stream: ServerHttp2Stream,
    method: (call: GrpcCall) => Promise<void>,
  ): Promise<void> {
    const call = new GrpcCall(stream);
    try {
      await method(call);
    } catch (error) {
      if (error instanceof CallError) return call.end(error.status, error.message);
      // Most often: the caller is gone.
      if (call.ended) return;
      log.error({ error: (error as Error).message }, 'a gRPC call failed');
      call.end(GrpcStatus.internal, 'The relay failed; its log says why.');
    }
  }

  async function connect(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    from: LinkOrigin,
  ): Promise<void> {
    const refusal = await admission.admit({
      ...from,
      transport: 'grpc',
      token: bearerToken(headers.authorization),
      accept: (options) => acceptGrpc(stream, headers, options),
    });
    if (refusal === undefined) return;
    refuseGrpc(stream, refusal);
    stream.resume();
  }

  return {
    handle(stream, headers, from) {
      // A call that is reset must not end the process.
      stream.on('error', () => {});
      const path = headers[':path'] ?? '';
      if (headers[':method'] !== 'POST') {
        return refuseCall(stream, GrpcStatus.unimplemented, 'gRPC calls use POST.');
      }
      if (path === CONNECT_PATH) return void connect(stream, headers, from);
      const method = methods.get(path);
      if (method === undefined) {
        return refuseCall(
          stream,
          GrpcStatus.unimplemented,
          `This relay has no method ${path.slice(0, 200)}.`,
        );
      }
      void run(stream, method);
    },
    setServing: (serving) => health.setServing(serving),
    stop: () => health.stop(),
  };
}
