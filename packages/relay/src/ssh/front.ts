import { createServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import type { Link } from '@burrow/tunnel';
import {
  algorithmsFor,
  announcedKeys,
  announceHostKeys,
  disconnect,
  generateHostKey,
  hostKeysProof,
  offerAlgorithms,
  onMessage,
  sendBanner,
  sendMessage,
  SERVER_ALGORITHMS,
  tune,
} from '@burrow/ssh';
import ssh2, { type Connection } from 'ssh2';
import { addressSet, plainAddress } from '../config/address-range.ts';
import { readProxyHeader } from '../listen/read-proxy-header.ts';
import type { Origin, SignedIn, SshAuthority, SshGatewayThread } from './authority.ts';
import { pass } from './bridge.ts';
import { serveHome } from './home.ts';
import { SSH_LIMITS } from './limits.ts';
import { lostSentence } from './lost-sentence.ts';
import { SENTENCES } from './sentences.ts';
import { ReplyOrder } from './reply-order.ts';
import { handleSignIn } from './sign-in.ts';
import { UnauthenticatedConnections } from './unauthenticated.ts';
import { placeOf } from './user-name.ts';
import { connectWorkload, type WorkloadConnection } from './workload-connection.ts';

export interface FrontOptions {
  readonly host: string;
  readonly port: number;
  /** Private keys in OpenSSH's form. Secret. */
  readonly hostKeys: readonly string[];
  readonly software: string;
  /** Share the port with other processes (SO_REUSEPORT). */
  readonly reusePort?: boolean;
  /** Connections from `trustedProxies` begin with a PROXY header. */
  readonly proxyProtocol?: boolean;
  /** Addresses and ranges. */
  readonly trustedProxies?: readonly string[];
  /** Where people add keys. */
  readonly keysUrl: string;
  /** From connecting to the first try to sign in. */
  readonly handshakeMs: number;
}

/** A connection that is not signed in yet. */
interface Meeting {
  /** The client's, also behind a proxy. */
  readonly address: string;
  readonly release: () => void;
  readonly silent: NodeJS.Timeout;
}

export interface FrontDeps {
  readonly authority: SshAuthority;
  /** To the relay's main thread: where channels to workloads are opened. */
  readonly link: Link;
}

// A ping's reply would be taken for the answer to a request that was passed on.
(ssh2.Server as unknown as { KEEPALIVE_CLIENT_INTERVAL: number }).KEEPALIVE_CLIENT_INTERVAL = 0;

/** The SSH port: who comes in, and where they are led. Runs in the gateway's thread. */
export function createFront(options: FrontOptions, deps: FrontDeps): SshGatewayThread {
  const { authority, link } = deps;
  /** Proves the gateway to workloads; admitted by each channel's `Open`. */
  const key = generateHostKey();
  const unauthenticated = new UnauthenticatedConnections(
    SSH_LIMITS.unauthenticated,
    SSH_LIMITS.unauthenticatedPerAddress,
  );
  const sockets = new Set<Socket>();
  const signedIn = new Map<string, (sentence: string) => void>();
  const leaving = new Map<Connection, (sentence: string) => void>();

  let { server, announced } = serverWith(options.hostKeys);
  function serverWith(hostKeys: readonly string[]) {
    return {
      server: new ssh2.Server(
        {
          hostKeys: [...hostKeys],
          algorithms: { ...SERVER_ALGORITHMS },
          ident: options.software,
        },
        serve,
      ),
      announced: announcedKeys(hostKeys.map((privateKey) => ({ privateKey }))),
    };
  }
  const listener: TcpServer = createServer({
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 15_000,
  });
  const trusted = addressSet(options.trustedProxies ?? []);
  listener.on('connection', (socket: Socket) => {
    if (sockets.size >= SSH_LIMITS.connections) return void socket.destroy();
    sockets.add(socket);
    // Whoever says nothing is not heard by ssh2 either.
    const silent = setTimeout(() => socket.destroy(), options.handshakeMs);
    socket.once('close', () => {
      sockets.delete(socket);
      clearTimeout(silent);
    });
    const peer = plainAddress(socket.remoteAddress ?? '');
    if (options.proxyProtocol !== true || !trusted.has(peer)) return meet(socket, peer, silent);
    const ignore = (): void => {};
    socket.on('error', ignore);
    readProxyHeader(socket, AbortSignal.timeout(options.handshakeMs)).then(
      (address) => {
        meet(socket, address ?? peer, silent);
        socket.off('error', ignore);
      },
      () => socket.destroy(),
    );
  });
  const meeting = new WeakMap<object, Meeting>();

  function meet(socket: Socket, address: string, silent: NodeJS.Timeout): void {
    const release = unauthenticated.admit(address);
    if (release === undefined) return void socket.destroy();
    socket.once('close', release);
    meeting.set(socket, { address, release, silent });
    server.injectSocket(socket);
  }

  function serve(
    connection: Connection,
    info: { ip: string; header: { versions: { software: string } } },
  ): void {
    const { software } = info.header.versions;
    const socket = (connection as unknown as { _sock: Socket })._sock;
    const { address, release, silent } = meeting.get(socket) ?? {
      address: info.ip,
      release: () => {},
      silent: undefined,
    };
    const gone = new AbortController();
    let workload: WorkloadConnection | undefined;
    const ownKeys = announced;
    const replies = new ReplyOrder((payload) => sendMessage(connection, payload));
    let ready = false;
    let bridged = false;
    let person: SignedIn | undefined;
    let deadline = setTimeout(expire, SSH_LIMITS.signInMs);

    offerAlgorithms(connection, algorithmsFor(software));
    tune(connection);
    onMessage(connection, (payload) => {
      const type = payload[0] ?? 0;
      const proof = ready ? hostKeysProof(connection, payload, ownKeys) : undefined;
      if (proof !== undefined) {
        replies.own(proof);
        return true;
      }
      if (!bridged || workload === undefined || type < 80 || type >= 128) return false;
      replies.asked(payload);
      return pass(payload, connection, workload.connection);
    });

    const origin = (asked: string): Origin => ({
      address,
      software: software.slice(0, 100),
      asked: asked.slice(0, 64),
    });
    let lastAsked = '';

    handleSignIn(connection, {
      authority,
      keysUrl: options.keysUrl,
      origin(asked) {
        lastAsked = asked;
        return origin(asked);
      },
      extend(ms) {
        clearTimeout(deadline);
        deadline = setTimeout(expire, ms);
      },
      async proceed(who, asked) {
        person = who;
        signedIn.set(who.id, turnAway);
        if (gone.signal.aborted) return finish();
        await lead(who, asked);
      },
      turnAway,
    });
    connection.once('authentication', () => clearTimeout(silent));
    connection.on('ready', () => {
      clearTimeout(deadline);
      release();
      ready = true;
      announceHostKeys(connection, ownKeys);
      bridged = workload !== undefined;
      if (workload === undefined && person !== undefined) {
        serveHome(connection, person, { authority, link: () => link });
      }
    });
    // What clients do wrong is theirs; the socket ends either way.
    connection.on('error', () => {});
    connection.on('close', () => {
      gone.abort();
      clearTimeout(deadline);
      clearTimeout(silent);
      leaving.delete(connection);
      workload?.end();
      finish();
    });
    leaving.set(connection, turnAway);

    /** Before the client learns that it is signed in: so it can be told why not. */
    async function lead(who: SignedIn, asked: string): Promise<void> {
      const place = placeOf(asked);
      if (place?.kind === 'home') return;
      const name = place?.name ?? asked;
      const patience = setTimeout(() => sendBanner(connection, SENTENCES.waiting(name)), 1_000);
      const to = await authority.find(who.id, name).finally(() => clearTimeout(patience));
      if ('refused' in to) throw new Error(to.refused);
      const certificate =
        to.server === 'sshd'
          ? await authority.certificate(who.id, to.workspace, key.publicLine)
          : undefined;
      const made = await connectWorkload({
        link,
        to,
        person: who,
        key,
        certificate,
        signal: gone.signal,
      }).catch((error: Error) => {
        void authority.failed(who.id, to.workspace, error.message).catch(() => {});
        throw error;
      });
      workload = made;
      made.onMessage = (payload) => {
        if (!bridged) return false;
        const passed = pass(payload, made.connection, connection);
        replies.answered(payload);
        return passed;
      };
      void made.ended.then((error) =>
        error === undefined ? connection.end() : turnAway(lostSentence(to.workspace, error)),
      );
      await authority.note(who.id, 'opened', to.workspace);
    }

    function turnAway(sentence: string): void {
      if (person === undefined)
        void authority.turnedAway(origin(lastAsked), sentence).catch(() => {});
      disconnect(connection, sentence);
    }

    function expire(): void {
      turnAway('You were not signed in in time.');
    }

    function finish(): void {
      if (person === undefined) return;
      signedIn.delete(person.id);
      void authority.ended(person.id).catch(() => {});
      person = undefined;
    }
  }

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        listener.once('error', reject);
        const { host, port, reusePort = false } = options;
        listener.listen({ host, port, reusePort, backlog: 1024 }, () => {
          listener.off('error', reject);
          resolve((listener.address() as AddressInfo).port);
        });
      }),
    cut: async (id, sentence) => signedIn.get(id)?.(sentence),
    async setHostKeys(hostKeys) {
      ({ server, announced } = serverWith(hostKeys));
    },
    stopAccepting: async () => void listener.close(),
    async stop(sentence) {
      listener.close();
      for (const turnAway of [...leaving.values()]) turnAway(sentence);
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, 1_000);
      await Promise.all(
        [...sockets].map((socket) => new Promise((done) => socket.once('close', done))),
      );
      clearTimeout(cut);
    },
    stats: async () => ({ unauthenticated: unauthenticated.count, signedIn: signedIn.size }),
  };
}
