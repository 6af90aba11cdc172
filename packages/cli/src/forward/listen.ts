import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { CliError } from '../cli-error.ts';
import { hostPort, type Mapping } from './mapping.ts';

export interface Listening {
  readonly mapping: Mapping;
  readonly address: string;
  /** The one it is, where any free one was asked for. */
  readonly port: number;
  readonly server: Server;
}

/** Connections that the kernel holds until they are accepted: a page asks for many at once. */
const BACKLOG = 1024;

/**
 * Listens on all of them, or on none. Sockets come paused and may end one side at a time. Rejects
 * with CliError.
 */
export async function listenAll(
  address: string,
  mappings: readonly Mapping[],
  onSocket: (socket: Socket, mapping: Mapping) => void,
): Promise<Listening[]> {
  const listening: Listening[] = [];
  try {
    for (const mapping of mappings) {
      listening.push(await listen(address, mapping, (socket) => onSocket(socket, mapping)));
    }
    return listening;
  } catch (error) {
    for (const { server } of listening) server.close();
    throw error;
  }
}

function listen(
  address: string,
  mapping: Mapping,
  onSocket: (socket: Socket) => void,
): Promise<Listening> {
  const { promise, resolve, reject } = Promise.withResolvers<Listening>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.on('connection', onSocket);
  server.on('error', (error) => reject(explain(error, address, mapping)));
  server.listen({ host: address, port: mapping.local, backlog: BACKLOG }, () => {
    const { port } = server.address() as AddressInfo;
    resolve({ mapping, address, port, server });
  });
  return promise;
}

function explain(
  error: NodeJS.ErrnoException,
  address: string,
  { local, remote }: Mapping,
): CliError {
  const at = hostPort(address, local);
  const options = { cause: error };
  const free = `:${remote} takes a free one`;
  if (error.code === 'EADDRINUSE') {
    return new CliError(
      `Another program listens on ${at} already. Choose another port: ${free}.`,
      1,
      options,
    );
  }
  if (error.code === 'EACCES') {
    return new CliError(
      `You may not listen on ${at}: ports below 1024 need a privilege. Choose another port: ${free}.`,
      1,
      options,
    );
  }
  if (error.code === 'EADDRNOTAVAIL') {
    return new CliError(`${address} is no address of this machine.`, 1, options);
  }
  return new CliError(`Cannot listen on ${at}: ${error.message}`, 1, options);
}
