import type { TunnelError } from '../errors.ts';
import { greetAsAcceptor, greetAsDialler } from '../link/handshake.ts';
import type { Transport, TransportHandler } from '../transport.ts';
import type { HelloInfo, Link, LinkHandler, WelcomeInfo } from '../types.ts';

/** A transport in memory; what is sent arrives in a later turn of the event loop. */
export class MemoryTransport implements Transport {
  peer!: MemoryTransport;
  /** Rewrites what is sent, e.g. to cut it anew or to damage it. */
  filter: (bytes: Buffer) => Buffer[] = (bytes) => [bytes];
  #handler: TransportHandler | undefined;
  #early: Buffer[] = [];
  #closed = false;

  setHandler(handler: TransportHandler): void {
    this.#handler = handler;
    for (const chunk of this.#early.splice(0)) handler.onBytes(chunk);
  }

  send(chunks: Buffer[]): void {
    const bytes = Buffer.concat(chunks);
    setImmediate(() => {
      for (const chunk of this.filter(bytes)) this.peer.#deliver(chunk);
      if (!this.#closed) this.#handler?.onSent();
    });
  }

  /** Bytes from nowhere, as if the peer had sent them. */
  inject(bytes: Buffer): void {
    this.#deliver(bytes);
  }

  close(error: TunnelError): void {
    this.#end(error);
    setImmediate(() => this.peer.#end(error));
  }

  #deliver(chunk: Buffer): void {
    if (this.#closed) return;
    if (this.#handler === undefined) this.#early.push(chunk);
    else this.#handler.onBytes(chunk);
  }

  #end(error: TunnelError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handler?.onClose(error);
  }
}

export function transportPair(): [MemoryTransport, MemoryTransport] {
  const a = new MemoryTransport();
  const b = new MemoryTransport();
  a.peer = b;
  b.peer = a;
  return [a, b];
}

export const TEST_HELLO: Omit<HelloInfo, 'revision' | 'minRevision' | 'capabilities'> = {
  instanceId: '00112233445566778899aabbccddeeff',
  software: 'test/1',
  listeningPorts: [],
  sshHostKey: '',
  sshServer: 'none',
  sshUser: '',
  label: 'test',
};

export const TEST_WELCOME: Omit<WelcomeInfo, 'revision' | 'capabilities'> = {
  relayId: 'relay-1',
  relayIncarnation: 'run-1',
  software: 'test-relay/1',
  clusterSize: 1,
  pingAfterMs: 8_000,
  pongWithinMs: 5_000,
  maxChannels: 4096,
  workload: 'demo',
  minLinks: 1,
  maxLinks: 4,
};

export interface LinkPair {
  /** The agent's side. */
  readonly dialler: Link;
  /** The relay's side, which opens channels. */
  readonly acceptor: Link;
  readonly transports: readonly [dialler: MemoryTransport, acceptor: MemoryTransport];
}

const IGNORE: LinkHandler = {
  onChannel: (channel) => channel.reset('unsupported', 'Nobody serves channels here.'),
  onClose: () => {},
};

/** Two links over memory, greeted and ready. */
export async function linkPair(
  handlers: {
    dialler?: LinkHandler;
    acceptor?: LinkHandler;
    welcome?: Partial<typeof TEST_WELCOME>;
  } = {},
): Promise<LinkPair> {
  const transports = transportPair();
  const [dialled, accepted] = await Promise.all([
    greetAsDialler(transports[0], {
      hello: TEST_HELLO,
      handler: handlers.dialler ?? IGNORE,
      signal: AbortSignal.timeout(5_000),
    }),
    greetAsAcceptor(transports[1], {
      welcome: () => ({ ...TEST_WELCOME, ...handlers.welcome }),
      handler: handlers.acceptor ?? IGNORE,
    }),
  ]);
  if (accepted === undefined) throw new Error('The test link was refused.');
  return { dialler: dialled.link, acceptor: accepted.link, transports };
}
