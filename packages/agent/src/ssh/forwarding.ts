import { lstat, unlink } from 'node:fs/promises';
import { connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { keepHalfOpen, mendOutput, OPEN_FAILURE, refuseChannel } from '@burrow/ssh';
import type { Connection, ServerChannel } from 'ssh2';
import { AGENT_SSH_LIMITS } from './limits.ts';
import { listen } from './listening.ts';

export interface ForwardingPolicy {
  /** Whether the client may reach, or listen on, that port of loopback. */
  readonly mayReach: (port: number) => boolean;
  readonly mayReachPath: (path: string) => boolean;
  /** Other hosts than loopback, from the workload's network. */
  readonly anywhere: boolean;
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1', 'ip6-localhost', '']);

/**
 * Ports and unix sockets both ways (RFC 4254, section 7; OpenSSH's PROTOCOL,
 * section 2.4). What listens for the client does so on loopback only.
 */
export function serveForwarding(
  connection: Connection,
  policy: ForwardingPolicy,
  /** `ssh -J` into this very server. */
  self: {
    readonly isSelf: (host: string, port: number) => boolean;
    readonly serve: (channel: ServerChannel) => void;
  },
): () => void {
  /** Undefined: about to listen. */
  const listeners = new Map<string, Server | undefined>();
  const carried = new Set<Socket>();
  let over = false;
  let anyPorts = 0;
  let requests = Promise.resolve();

  connection.on('tcpip', (accept, reject, { destIP, destPort }) => {
    if (self.isSelf(destIP, destPort)) {
      const channel = accept();
      if (channel !== undefined) self.serve(channel);
      return;
    }
    const host = destIP.toLowerCase();
    const local = LOOPBACK.has(host);
    if (local && !policy.mayReach(destPort)) {
      return refuse(reject, `The agent does not allow port ${destPort}: see BURROW_AGENT_ALLOW`);
    }
    if (!local && !policy.anywhere) {
      return refuse(
        reject,
        'The agent allows ports of the workload itself only: see BURROW_AGENT_SSH_FORWARD',
      );
    }
    dial(local ? { port: destPort, host: 'localhost' } : { port: destPort, host }, accept, reject);
  });
  connection.on('openssh.streamlocal', (accept, reject, { socketPath }) => {
    if (!policy.mayReachPath(socketPath)) {
      return refuse(reject, 'The agent allows no forwarding: see BURROW_AGENT_SSH_FORWARD');
    }
    dial({ path: socketPath }, accept, reject);
  });
  // oxlint-disable-next-line typescript/no-explicit-any -- ssh2 types each request's facts apart
  connection.on('request', (accept, reject, name, info: any) => {
    // Answers bear no number: clients know them by their order (RFC 4254, section 4).
    requests = requests
      .then(() => request(String(name), info))
      .then(
        (port) => (accept as ((port?: number) => void) | undefined)?.(port),
        () => reject?.(),
      );
  });

  async function request(
    name: string,
    info: { bindAddr?: string; bindPort?: number; socketPath?: string },
  ): Promise<number | undefined> {
    const { bindAddr = '', bindPort = 0, socketPath = '' } = info;
    switch (name) {
      case 'tcpip-forward': {
        if (bindPort !== 0 && !policy.mayReach(bindPort)) throw new Error('not allowed');
        // The system chooses among free ports: no two of these are the same.
        const slot = bindPort === 0 ? `any ${(anyPorts += 1)}` : `${bindAddr}:${bindPort}`;
        const server = await listenAs(slot, { host: '127.0.0.1', port: bindPort }, (socket) =>
          offer(socket, (open) =>
            connection.forwardOut(
              bindAddr,
              (server.address() as AddressInfo).port,
              socket.remoteAddress ?? '127.0.0.1',
              socket.remotePort ?? 0,
              open,
            ),
          ),
        );
        const { port } = server.address() as AddressInfo;
        listeners.delete(slot);
        listeners.set(`${bindAddr}:${port}`, server);
        return port;
      }
      case 'cancel-tcpip-forward':
        return close(`${bindAddr}:${bindPort}`);
      case 'streamlocal-forward@openssh.com': {
        if (!policy.mayReachPath(socketPath)) throw new Error('not allowed');
        await removeStale(socketPath);
        await listenAs(socketPath, { path: socketPath }, (socket) =>
          offer(socket, (open) => connection.openssh_forwardOutStreamLocal(socketPath, open)),
        );
        return undefined;
      }
      case 'cancel-streamlocal-forward@openssh.com':
        return close(socketPath);
      default:
        throw new Error('unknown');
    }
  }

  async function listenAs(
    name: string,
    at: { host: string; port: number } | { path: string },
    onSocket: (socket: Socket) => void,
  ): Promise<Server> {
    if (over || listeners.size >= AGENT_SSH_LIMITS.listeners) throw new Error('too many');
    if (listeners.has(name)) throw new Error('there is one');
    listeners.set(name, undefined);
    const server = await listen(at, onSocket).catch((error: unknown) => {
      listeners.delete(name);
      throw error;
    });
    if (over) {
      server.close();
      throw new Error('the connection is over');
    }
    listeners.set(name, server);
    return server;
  }

  function close(name: string): undefined {
    const server = listeners.get(name);
    if (server === undefined) throw new Error('there is none');
    listeners.delete(name);
    server.close();
    return undefined;
  }

  function refuse(
    reject: (() => void) | undefined,
    sentence: string,
    reason: (typeof OPEN_FAILURE)[keyof typeof OPEN_FAILURE] = OPEN_FAILURE.NOT_ALLOWED,
  ): void {
    if (reject !== undefined) refuseChannel(connection, reject, reason, sentence);
  }

  function room(): boolean {
    return !over && carried.size < AGENT_SSH_LIMITS.forwards;
  }

  /** From the client to something here. */
  function dial(
    to: { port: number; host: string } | { path: string },
    accept: () => ServerChannel,
    reject: (() => void) | undefined,
  ): void {
    if (!room()) return refuse(reject, 'Too many connections are forwarded', OPEN_FAILURE.NO_ROOM);
    const socket = connect({ ...to, allowHalfOpen: true, noDelay: true, autoSelectFamily: true });
    const late = setTimeout(
      () => socket.destroy(new Error('timed out')),
      AGENT_SSH_LIMITS.connectMs,
    );
    let joined = false;
    carried.add(socket);
    socket.once('connect', () => {
      clearTimeout(late);
      joined = true;
      const channel = accept();
      if (channel === undefined) return void socket.destroy();
      pipeBoth(channel, socket);
    });
    let failure: NodeJS.ErrnoException | undefined;
    socket.on('error', (error) => (failure = error));
    socket.once('close', () => {
      clearTimeout(late);
      carried.delete(socket);
      if (joined || over) return;
      const where = 'path' in to ? to.path : `port ${to.port}`;
      const why = failure?.code ?? failure?.message ?? 'closed';
      refuse(
        reject,
        why === 'ECONNREFUSED' || why === 'ENOENT'
          ? `Nothing listens on ${where} in the workload`
          : `The agent cannot connect to ${where} (${why})`,
        OPEN_FAILURE.CONNECT_FAILED,
      );
    });
  }

  /** From something here to the client. */
  function offer(
    socket: Socket,
    open: (callback: (error: Error | undefined, channel: ServerChannel) => void) => void,
  ): void {
    socket.on('error', () => {});
    if (!room()) return void socket.destroy();
    carried.add(socket);
    socket.once('close', () => carried.delete(socket));
    try {
      open((error, channel) => {
        if (error === undefined && channel !== undefined) pipeBoth(channel, socket);
        else socket.destroy();
      });
    } catch {
      // The connection ended in the meantime.
      socket.destroy();
    }
  }

  return () => {
    over = true;
    // Node removes the files of unix sockets.
    for (const server of listeners.values()) server?.close();
    listeners.clear();
    for (const socket of carried) socket.destroy();
  };
}

/** Copies both ways; each direction ends by itself. */
export function pipeBoth(channel: ServerChannel, socket: Socket): void {
  mendOutput(channel);
  keepHalfOpen(channel);
  channel.pipe(socket).pipe(channel);
  channel.on('error', () => socket.destroy());
  socket.on('error', () => channel.destroy());
  channel.on('close', () => {
    // What the client said last is still for the app, if it reads.
    socket.setTimeout(AGENT_SSH_LIMITS.lingerMs, () => socket.destroy());
    socket.destroySoon();
  });
  socket.on('close', () => channel.end());
}

/** As StreamLocalBindUnlink does: a socket file left by a session before; nothing else is touched. */
async function removeStale(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there?.isSocket() === true) await unlink(path);
}
