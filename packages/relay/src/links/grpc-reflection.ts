import { toBinary, type DescFile, type MessageInitShape } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
  type ServerReflectionRequest,
} from '../gen/grpc/reflection/v1/reflection_pb.js';
import type { GrpcCall } from './grpc-call.ts';
import { GrpcStatus } from './grpc-status.ts';

type Answer = NonNullable<
  MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse']
>;

/** `grpc.reflection.v1.ServerReflection`; v1alpha has the same messages on the wire. */
export function grpcReflection(files: readonly DescFile[]): (call: GrpcCall) => Promise<void> {
  const services: string[] = [];
  const bySymbol = new Map<string, DescFile>();
  const byName = new Map<string, DescFile>();
  for (const file of files) {
    byName.set(`${file.name}.proto`, file);
    for (const service of file.services) {
      services.push(service.typeName);
      bySymbol.set(service.typeName, file);
      for (const method of service.methods)
        bySymbol.set(`${service.typeName}.${method.name}`, file);
    }
    for (const type of nestedTypes(file)) {
      if (type.kind !== 'extension') bySymbol.set(type.typeName, file);
      if (type.kind === 'message')
        for (const field of type.fields) bySymbol.set(`${type.typeName}.${field.name}`, file);
    }
  }

  const fileAnswer = (file: DescFile | undefined, asked: string): Answer =>
    file === undefined
      ? failure(`This relay does not know ${asked}.`)
      : {
          case: 'fileDescriptorResponse',
          value: {
            fileDescriptorProto: withDependencies(file).map((each) =>
              toBinary(FileDescriptorProtoSchema, each.proto),
            ),
          },
        };

  function answer(request: ServerReflectionRequest): Answer {
    const asked = request.messageRequest;
    switch (asked.case) {
      case 'listServices':
        return {
          case: 'listServicesResponse',
          value: { service: services.map((name) => ({ name })) },
        };
      case 'fileByFilename':
        return fileAnswer(byName.get(asked.value), asked.value);
      case 'fileContainingSymbol':
        return fileAnswer(bySymbol.get(asked.value.replace(/^\./, '')), asked.value);
      case 'allExtensionNumbersOfType':
      case 'fileContainingExtension':
        return failure('No type of this relay has extensions.');
      case undefined:
        return failure('The request asks nothing.', GrpcStatus.invalidArgument);
    }
  }

  return async (call) => {
    for await (const request of call.messages(ServerReflectionRequestSchema)) {
      call.send(ServerReflectionResponseSchema, {
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(request),
      });
    }
    call.end();
  };
}

function failure(errorMessage: string, errorCode: number = GrpcStatus.notFound): Answer {
  return { case: 'errorResponse', value: { errorCode, errorMessage } };
}

/** The file first, then what it imports. */
function withDependencies(file: DescFile, seen = new Set<DescFile>()): DescFile[] {
  if (!seen.has(file)) {
    seen.add(file);
    for (const dependency of file.dependencies) withDependencies(dependency, seen);
  }
  return [...seen];
}
