import { chmod, mkdtemp, rm } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAgentChannel } from '@burrow/ssh';
import type { Connection } from 'ssh2';
import { pipeBoth } from './forwarding.ts';
import { AGENT_SSH_LIMITS } from './limits.ts';
import { listen } from './listening.ts';

/** A socket, for the agent's user alone, behind which the client's SSH agent answers. One for a connection. */
export class AgentForwarding {
  readonly #connection: Connection;
  #starting: Promise<string> | undefined;
  #server: Server | undefined;
  #folder: string | undefined;
  #closed = false;
  readonly #sockets = new Set<Socket>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The path for SSH_AUTH_SOCK. */
  socketPath(): Promise<string> {
    return (this.#starting ??= this.#start());
  }

  close(): void {
    this.#closed = true;
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#folder !== undefined) void rm(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'burrow-ssh-'));
    this.#folder = folder;
    await chmod(folder, 0o700);
    const path = join(folder, 'agent');
    this.#server = await listen({ path }, (socket) => {
      socket.on('error', () => {});
      if (this.#sockets.size >= AGENT_SSH_LIMITS.forwards) return void socket.destroy();
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      try {
        openAgentChannel(this.#connection, (error, channel) => {
          if (error === undefined) pipeBoth(channel, socket);
          else socket.destroy();
        });
      } catch {
        socket.destroy();
      }
    });
    if (this.#closed) this.close();
    return path;
  }
}
