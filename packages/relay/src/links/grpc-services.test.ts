import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import http2 from 'node:http2';
import { test } from 'node:test';
import { promisify } from 'node:util';
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from '../gen/grpc/health/v1/health_pb.js';
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from '../gen/grpc/reflection/v1/reflection_pb.js';
import { linksStand } from './testing.ts';

const TUNNEL = 'burrow.tunnel.v1.TunnelService';

function frame(body: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

/** A call that sends raw bytes; its answers are read as they come. */
function open(url: URL, path: string) {
  const session = http2.connect(url);
  session.on('error', () => {});
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => {});
  let bytes = Buffer.alloc(0);
  let trailers: http2.IncomingHttpHeaders | undefined;
  stream.on('data', (chunk: Buffer) => (bytes = Buffer.concat([bytes, chunk])));
  stream.on('trailers', (fields: http2.IncomingHttpHeaders) => (trailers = fields));
  const closed = new Promise<void>((resolve) => stream.on('close', () => resolve()));
  return {
    stream,
    send: (schema: DescMessage, message: MessageInitShape<DescMessage>) =>
      stream.write(frame(toBinary(schema, create(schema, message)))),
    async next<D extends DescMessage>(schema: D): Promise<MessageShape<D>> {
      while (bytes.length < 5 || bytes.length < 5 + bytes.readUInt32BE(1)) {
        assert.ok(!stream.closed, 'the call ended');
        await new Promise((resolve) => setImmediate(resolve));
      }
      const end = 5 + bytes.readUInt32BE(1);
      const message = fromBinary(schema, bytes.subarray(5, end));
      bytes = bytes.subarray(end);
      return message;
    },
    async status(): Promise<string> {
      await closed;
      session.destroy();
      return String(trailers?.['grpc-status']);
    },
    end: () => session.destroy(),
  };
}

test('health: the server and each of its services serve, others are not found', async (t) => {
  const { url } = await linksStand(t);
  for (const service of ['', TUNNEL, 'grpc.health.v1.Health']) {
    const call = open(url, '/grpc.health.v1.Health/Check');
    call.send(HealthCheckRequestSchema, { service });
    call.stream.end();
    assert.equal((await call.next(HealthCheckResponseSchema)).status, Status.SERVING);
    assert.equal(await call.status(), '0');
  }
  const call = open(url, '/grpc.health.v1.Health/Check');
  call.send(HealthCheckRequestSchema, { service: 'nobody.Service' });
  call.stream.end();
  assert.equal(await call.status(), '5');
});

test('health: a watcher learns of each change', async (t) => {
  const { url, endpoint } = await linksStand(t);
  const [known, unknown] = [
    open(url, '/grpc.health.v1.Health/Watch'),
    open(url, '/grpc.health.v1.Health/Watch'),
  ];
  known.send(HealthCheckRequestSchema, { service: TUNNEL });
  unknown.send(HealthCheckRequestSchema, { service: 'nobody.Service' });
  assert.equal((await known.next(HealthCheckResponseSchema)).status, Status.SERVING);
  assert.equal((await unknown.next(HealthCheckResponseSchema)).status, Status.SERVICE_UNKNOWN);
  endpoint.setServing(false);
  assert.equal((await known.next(HealthCheckResponseSchema)).status, Status.NOT_SERVING);
  known.end();
  unknown.end();
});

test('reflection: lists services and gives their files, under both names of the service', async (t) => {
  const { url } = await linksStand(t);
  for (const version of ['v1', 'v1alpha']) {
    const call = open(url, `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`);
    const ask = async (
      messageRequest: MessageInitShape<typeof ServerReflectionRequestSchema>['messageRequest'],
    ) => {
      call.send(ServerReflectionRequestSchema, { messageRequest } as never);
      return (await call.next(ServerReflectionResponseSchema)).messageResponse;
    };
    const list = await ask({ case: 'listServices', value: '*' });
    assert.ok(list.case === 'listServicesResponse');
    assert.ok(list.value.service.some((service) => service.name === TUNNEL));
    for (const asked of [
      { case: 'fileContainingSymbol', value: TUNNEL },
      { case: 'fileContainingSymbol', value: `${TUNNEL}.Connect` },
      { case: 'fileContainingSymbol', value: 'burrow.tunnel.v1.Target.Ssh' },
      { case: 'fileByFilename', value: 'burrow/tunnel/v1/tunnel.proto' },
    ] as const) {
      const answer = await ask(asked);
      assert.ok(answer.case === 'fileDescriptorResponse', asked.value);
      const file = fromBinary(
        FileDescriptorProtoSchema,
        answer.value.fileDescriptorProto[0] ?? new Uint8Array(),
      );
      assert.equal(file.name, 'burrow/tunnel/v1/tunnel.proto');
      assert.ok(file.messageType.some((type) => type.name === 'Frame'));
    }
    const none = await ask({ case: 'fileContainingSymbol', value: 'nobody.Thing' });
    assert.ok(none.case === 'errorResponse' && none.value.errorCode === 5);
    call.stream.end();
    assert.equal(await call.status(), '0');
  }
});

const GARBAGE: [name: string, bytes: Buffer, status: string][] = [
  ['not a message', frame(Buffer.from([0xff, 0xff, 0xff])), '3'],
  ['compressed', Buffer.from([1, 0, 0, 0, 0]), '12'],
  ['too long', Buffer.from([0, 0x7f, 0, 0, 0]), '8'],
  ['cut short', Buffer.from([0, 0, 0, 0, 9, 1]), '13'],
  ['nothing', Buffer.alloc(0), '3'],
];
for (const [name, bytes, status] of GARBAGE) {
  test(`a request that is ${name} gets status ${status}`, async (t) => {
    const { url } = await linksStand(t);
    const call = open(url, '/grpc.health.v1.Health/Check');
    call.stream.end(bytes);
    assert.equal(await call.status(), status);
  });
}

const PYTHON = `
import sys, grpc
channel = grpc.insecure_channel(sys.argv[1])
check = channel.unary_unary('/grpc.health.v1.Health/Check')
print(check(b'', timeout=10).hex())
info = channel.stream_stream('/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo')
print(b'burrow.tunnel.v1.TunnelService' in next(info(iter([b'\\x3a\\x01*']), timeout=10)))
try:
    channel.unary_unary('/nobody.Service/Method')(b'', timeout=10)
except grpc.RpcError as error:
    print(error.code().name, error.details())
`;

test("another implementation's client understands health, reflection and refusals", async (t) => {
  const { url } = await linksStand(t);
  const { stdout } = await promisify(execFile)('/usr/bin/python3', ['-c', PYTHON, url.host], {
    timeout: 30_000,
    env: { ...process.env, http_proxy: '', no_grpc_proxy: '*' },
  });
  assert.deepEqual(stdout.trim().split('\n'), [
    '0801',
    'True',
    'UNIMPLEMENTED This relay has no method /nobody.Service/Method.',
  ]);
});
