import { setMaxListeners } from 'node:events';
import type { Duplex } from 'node:stream';
import {
  algorithmsFor,
  disconnect,
  offerAlgorithms,
  onEndOfWrite,
  SERVER_ALGORITHMS,
  tune,
  type HostKey,
} from '@burrow/ssh';
import type { Channel } from '@burrow/tunnel';
import { channelToDuplex } from '@burrow/tunnel/node';
import ssh2, { type Connection, type ServerChannel } from 'ssh2';
import { admit } from './admission.ts';
import { AgentForwarding } from './agent-forwarding.ts';
import { serveForwarding, type ForwardingPolicy } from './forwarding.ts';
import { AGENT_SSH_LIMITS } from './limits.ts';
import { serveSession } from './session.ts';
import type { SftpOptions } from './sftp/index.ts';

export interface SshServerOptions {
  readonly hostKey: HostKey;
  readonly software: string;
  /** Where sessions begin; undefined: the home of the agent's user. */
  readonly directory: string | undefined;
  readonly policy: ForwardingPolicy;
  /** The workload's name, for `ssh -J` into itself and for its sessions. */
  readonly workload: () => string;
  readonly serveSftp: (channel: ServerChannel, options: SftpOptions) => void;
  /** From the channel's opening until a key is accepted. */
  readonly signInMs?: number;
  readonly log: (level: 'info' | 'warn', event: string, fields: object) => void;
}

// Its pings would be answered by clients, not by who is asked: the link notices the dead.
(ssh2.Server as unknown as { KEEPALIVE_CLIENT_INTERVAL: number }).KEEPALIVE_CLIENT_INTERVAL = 0;

/** The agent's own SSH server. It listens nowhere: each connection is a channel of the tunnel. */
export class SshServer {
  readonly #options: SshServerOptions;
  /** And what ends their sessions. */
  readonly #connections = new Map<Connection, AbortController>();

  constructor(options: SshServerOptions) {
    this.#options = options;
  }

  /** Takes a channel whose target is `ssh`. `onDone` is called once, when nothing of it is left. */
  serve(channel: Channel, onDone: () => void): void {
    // It may have ended while this server was loaded.
    if (channel.closed) return onDone();
    const { target, principal, uid } = channel;
    const authorizedKeys = target.kind === 'ssh' ? target.authorizedKeys : [];
    const stream = channelToDuplex(channel);
    stream.once('close', onDone);
    stream.on('error', () => {});
    this.#serve(stream, authorizedKeys, { user: principal.username, channel: uid });
    channel.accept();
  }

  /** Ends every connection, and hangs up on all sessions before it returns. Idempotent. */
  stop(): void {
    for (const [connection, gone] of this.#connections) {
      gone.abort();
      disconnect(connection, 'The agent is stopping.');
    }
  }

  #serve(
    stream: Duplex,
    authorizedKeys: readonly string[],
    facts: { readonly user: string; readonly channel: string },
  ): void {
    const { hostKey, software, policy, log } = this.#options;
    // From before the first byte: ssh2 itself waits for ever for the client's version.
    const late = setTimeout(
      () => stream.destroy(),
      this.#options.signInMs ?? AGENT_SSH_LIMITS.signInMs,
    );
    stream.once('close', () => clearTimeout(late));
    const server = new ssh2.Server(
      {
        hostKeys: [hostKey.privateKey],
        algorithms: { ...SERVER_ALGORITHMS },
        // OpenSSH's client speaks its extensions only with what is named like it.
        ident: `OpenSSH_${software}`,
      },
      (connection, { header }) => {
        offerAlgorithms(connection, algorithmsFor(header.versions.software));
        tune(connection);
        const endOfWrite = onEndOfWrite(connection);
        const gone = new AbortController();
        setMaxListeners(0, gone.signal);
        this.#connections.set(connection, gone);
        const agent = new AgentForwarding(connection);
        let closeForwards = (): void => {};
        let sessions = 0;
        connection.on('error', () => {});
        admit(connection, authorizedKeys, (fingerprint) =>
          log('warn', 'ssh-refused', { ...facts, fingerprint }),
        );
        connection.on('ready', () => {
          clearTimeout(late);
          closeForwards = serveForwarding(connection, policy, {
            isSelf: (host, port) => port === 22 && this.#isSelf(host),
            serve: (inner) => this.#serve(inner, authorizedKeys, facts),
          });
        });
        connection.on('session', (accept, reject) => {
          if (sessions >= AGENT_SSH_LIMITS.sessions) return reject();
          const session = accept();
          if (session === undefined) return;
          sessions += 1;
          session.on('close', () => (sessions -= 1));
          serveSession(session, {
            directory: this.#options.directory,
            facts: {
              // The client's own address is the relay's to know.
              SSH_CONNECTION: '127.0.0.1 0 127.0.0.1 22',
              SSH_CLIENT: '127.0.0.1 0 22',
              BURROW_WORKSPACE: this.#options.workload(),
              BURROW_USER: facts.user,
            },
            forwardAgent: () => agent.socketPath(),
            serveSftp: this.#options.serveSftp,
            onEndOfWrite: endOfWrite,
            onStarted: (what) => log('info', 'ssh-session', { ...facts, what }),
            signal: gone.signal,
          });
        });
        connection.on('close', () => {
          this.#connections.delete(connection);
          gone.abort();
          closeForwards();
          agent.close();
        });
      },
    );
    // SSH knows no half-closed transport: whoever ends it is gone.
    stream.once('end', () => stream.end());
    server.injectSocket(stream as never);
  }

  #isSelf(host: string): boolean {
    const name = this.#options.workload();
    const asked = host.toLowerCase();
    return name !== '' && (asked === name || asked === `${name}.burrow`);
  }
}
