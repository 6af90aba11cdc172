import { constants, type ServerHttp2Stream } from 'node:http2';
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { GrpcStatus, statusTrailers, type GrpcStatusCode } from './grpc-status.ts';

/** Requests of health and reflection are tiny. */
const MAX_MESSAGE_BYTES = 16 * 1024;
const PREFIX_BYTES = 5;
/** How long a caller may keep its half open after the answer. */
const LINGER_MS = 5_000;
/** Silence after which a call ends. */
const IDLE_MS = 60_000;

/** A failure of the caller's that has a gRPC status. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly status: GrpcStatusCode;

  constructor(status: GrpcStatusCode, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * The server's side of one gRPC call on `node:http2`, for the small services.
 * (Links have their own, faster way.)
 */
export class GrpcCall {
  readonly #stream: ServerHttp2Stream;
  #trailers = statusTrailers(GrpcStatus.ok);

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
    stream.on('error', () => {});
    stream.setTimeout(IDLE_MS, () =>
      this.end(GrpcStatus.deadlineExceeded, `Nothing was asked for ${IDLE_MS / 1000} s.`),
    );
    stream.on('wantTrailers', () => stream.sendTrailers(this.#trailers));
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    );
  }

  get ended(): boolean {
    return this.#stream.destroyed || this.#stream.writableEnded;
  }

  /** The answer may take as long as it likes: the caller waits for something to happen. */
  keepOpen(): void {
    this.#stream.setTimeout(0);
  }

  /** Runs once, when the call is over for whatever reason. */
  onEnd(listener: () => void): void {
    this.#stream.once('close', listener);
  }

  /** Throws CallError for what is not a message. */
  async *messages<Desc extends DescMessage>(schema: Desc): AsyncGenerator<MessageShape<Desc>> {
    let held: Buffer = Buffer.alloc(0);
    // Leaving the loop early must not destroy the stream: the answer is still to be sent.
    const chunks = this.#stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    for await (const chunk of chunks) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      for (;;) {
        if (held.length < PREFIX_BYTES) break;
        if (held[0] !== 0)
          throw new CallError(GrpcStatus.unimplemented, 'Compressed messages are not taken.');
        const length = held.readUInt32BE(1);
        if (length > MAX_MESSAGE_BYTES) {
          throw new CallError(
            GrpcStatus.resourceExhausted,
            `A message is longer than ${MAX_MESSAGE_BYTES} bytes.`,
          );
        }
        const end = PREFIX_BYTES + length;
        if (held.length < end) break;
        const body = held.subarray(PREFIX_BYTES, end);
        held = held.subarray(end);
        yield decode(schema, body);
      }
    }
    if (held.length > 0)
      throw new CallError(GrpcStatus.internal, 'The call ended in the middle of a message.');
  }

  send<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): void {
    if (this.ended) return;
    const body = toBinary(schema, create(schema, message));
    const framed = Buffer.allocUnsafe(PREFIX_BYTES + body.length);
    framed[0] = 0;
    framed.writeUInt32BE(body.length, 1);
    framed.set(body, PREFIX_BYTES);
    this.#stream.write(framed);
  }

  end(status: GrpcStatusCode = GrpcStatus.ok, message = ''): void {
    if (this.ended) return;
    this.#trailers = statusTrailers(status, message);
    const stream = this.#stream;
    stream.end();
    stream.resume();
    // A reset would overtake the trailers, so the caller gets time to end its half.
    const late = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), LINGER_MS);
    late.unref();
    stream.once('close', () => clearTimeout(late));
  }
}

function decode<Desc extends DescMessage>(schema: Desc, body: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, body);
  } catch {
    throw new CallError(GrpcStatus.invalidArgument, `This is not a ${schema.typeName}.`);
  }
}
