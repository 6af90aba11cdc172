import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../gen/grpc/health/v1/health_pb.js';
import { CallError, type GrpcCall } from './grpc-call.ts';
import { GrpcStatus } from './grpc-status.ts';

/** Watchers in all; each holds a stream open. */
const MAX_WATCHERS = 1_000;

export interface GrpcHealth {
  /** Tells watchers. */
  setServing(serving: boolean): void;
  check(call: GrpcCall): Promise<void>;
  watch(call: GrpcCall): Promise<void>;
  /** Ends the watchers' calls. Idempotent. */
  stop(): void;
}

/** `grpc.health.v1.Health`: the server as a whole (empty name) and each service named. */
export function grpcHealth(services: readonly string[]): GrpcHealth {
  const known = new Set(['', ...services]);
  const watchers = new Set<{ call: GrpcCall; service: string }>();
  let serving = true;

  const statusOf = (service: string): ServingStatus => {
    if (!known.has(service)) return ServingStatus.SERVICE_UNKNOWN;
    return serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  };

  async function request(call: GrpcCall): Promise<string> {
    for await (const message of call.messages(HealthCheckRequestSchema)) return message.service;
    throw new CallError(GrpcStatus.invalidArgument, 'The call ended without a request.');
  }

  return {
    setServing(next) {
      if (serving === next) return;
      serving = next;
      for (const { call, service } of watchers) {
        call.send(HealthCheckResponseSchema, { status: statusOf(service) });
      }
    },
    async check(call) {
      const service = await request(call);
      if (!known.has(service))
        throw new CallError(GrpcStatus.notFound, `This relay has no service ${service}.`);
      call.send(HealthCheckResponseSchema, { status: statusOf(service) });
      call.end();
    },
    async watch(call) {
      if (watchers.size >= MAX_WATCHERS) {
        throw new CallError(
          GrpcStatus.resourceExhausted,
          'Too many watch the health of this relay.',
        );
      }
      const watcher = { call, service: '' };
      watchers.add(watcher);
      call.onEnd(() => watchers.delete(watcher));
      watcher.service = await request(call);
      call.keepOpen();
      call.send(HealthCheckResponseSchema, { status: statusOf(watcher.service) });
    },
    stop() {
      for (const { call } of watchers) call.end(GrpcStatus.unavailable, 'The relay shuts down.');
      watchers.clear();
    },
  };
}
