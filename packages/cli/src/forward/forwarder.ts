import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TunnelError, type ChannelResumer, type Link } from '@burrow/tunnel';
import { CliError, EXIT } from '../cli-error.ts';
import { joinSocket, type JoinEnd } from './join-socket.ts';
import type { Mapping } from './mapping.ts';
import { Pace } from './pace.ts';

/** What a forwarder needs of a SteadyLink. */
export interface Links {
  readonly resumer: ChannelResumer;
  usable(): Promise<Link>;
}

export interface ForwarderOptions {
  readonly links: Links;
  readonly workspace: string;
  /** A connection could not be made, or was cut: a sentence for a person. */
  readonly onFailed: (mapping: Mapping, message: string) => void;
  /** No connection can be made any more. */
  readonly onFatal: (error: CliError) => void;
  /** How long a new connection waits for a link; ms. */
  readonly patienceMs?: number;
}

/** A relay that restarts is back by then. */
const PATIENCE_MS = 10_000;
const RETRY_MS = 100;
const MAX_RETRY_MS = 1_000;
/** Half of what the relay allows on one link: those that go on after an interruption count there too. */
const OPENS_PER_SECOND = 250;
/** Between a link that is found and the channel on it, its relay may begin to drain. */
const TRIES = 3;

/** Each socket becomes a channel to a TCP port of the workspace. */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #patienceMs: number;
  readonly #pace = new Pace(OPENS_PER_SECOND);
  readonly #sockets = new Set<Socket>();
  readonly #over = new AbortController();

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
  }

  /** `socket`: paused, half-open allowed. Never throws. */
  take(socket: Socket, mapping: Mapping): void {
    if (this.#over.signal.aborted) return void socket.resetAndDestroy();
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
    void this.#serve(socket, mapping);
  }

  /** Resets what is open. Idempotent. */
  stop(): void {
    this.#over.abort(new TunnelError('cancelled', 'The forwarding has ended.'));
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async #serve(socket: Socket, mapping: Mapping): Promise<void> {
    try {
      await this.#pace.turn(this.#over.signal);
      const end = await this.#join(socket, mapping);
      if (end.kind === 'failed') this.#failed(mapping, end.error);
    } catch (error) {
      socket.resetAndDestroy();
      this.#failed(mapping, error as Error);
    }
  }

  async #join(socket: Socket, { remote }: Mapping): Promise<JoinEnd> {
    const { links, workspace } = this.#options;
    const until = performance.now() + this.#patienceMs;
    for (let attempt = 1; ; attempt++) {
      const link = await this.#link(until);
      try {
        return await joinSocket(socket, link, {
          target: { kind: 'tcp', port: remote },
          workload: workspace,
          // The relay says on whose behalf: by the token.
          principal: { userId: '', username: '' },
          resumer: links.resumer,
        });
      } catch (error) {
        // `joinSocket` throws before there is a channel, and never rejects.
        if (attempt === TRIES || !isGone(error)) throw error;
      }
    }
  }

  /** A link, when need be by trying again for a while: a relay that restarts is back soon. */
  async #link(until: number): Promise<Link> {
    const { signal } = this.#over;
    for (let waitMs = RETRY_MS; ; waitMs = Math.min(MAX_RETRY_MS, waitMs * 2)) {
      try {
        return await this.#options.links.usable();
      } catch (error) {
        const final = error instanceof CliError && error.exitCode === EXIT.notSignedIn;
        if (final || signal.aborted || performance.now() + waitMs > until) throw error;
      }
      await sleep(waitMs, undefined, { signal });
    }
  }

  #failed(mapping: Mapping, error: Error): void {
    if (this.#over.signal.aborted) return;
    if (error instanceof CliError && error.exitCode === EXIT.notSignedIn) {
      return this.#options.onFatal(error);
    }
    this.#options.onFailed(mapping, error.message);
  }
}

function isGone(error: unknown): boolean {
  return error instanceof TunnelError && (error.code === 'draining' || error.code === 'link-lost');
}
