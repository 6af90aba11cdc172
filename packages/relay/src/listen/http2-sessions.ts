import type { ServerHttp2Session } from 'node:http2';

/** A browser's connection window: what its uploads may have on the way, over all streams. */
const SESSION_WINDOW_BYTES = 4 << 20;
/** A session without a request; browsers open another when they need one. ms */
export const IDLE_SESSION_MS = 120_000;

interface Entry {
  streams: number;
  /** Monotonic ms; since when there is no stream. */
  idleSince: number;
}

/** The HTTP/2 sessions of the port: counted, and closed when idle or when the relay stops. */
export class Http2Sessions {
  readonly #entries = new Map<ServerHttp2Session, Entry>();
  readonly #timer: NodeJS.Timeout;
  readonly #idleMs: number;

  constructor(idleMs: number = IDLE_SESSION_MS) {
    this.#idleMs = idleMs;
    // One timer for all: a link's session would otherwise restart its own with each frame.
    this.#timer = setInterval(() => this.#sweep(), Math.max(10, idleMs / 4));
    this.#timer.unref();
  }

  add(session: ServerHttp2Session): void {
    const entry: Entry = { streams: 0, idleSince: performance.now() };
    this.#entries.set(session, entry);
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    session.once('close', () => this.#entries.delete(session));
    session.on('stream', (stream) => {
      entry.streams += 1;
      stream.once('close', () => {
        entry.streams -= 1;
        if (entry.streams === 0) entry.idleSince = performance.now();
      });
    });
  }

  /** GOAWAY: running streams finish, then the session ends. */
  drain(): void {
    for (const session of this.#entries.keys()) session.close();
  }

  /** Resolves when every session has ended, or after `withinMs`: last words need a moment to leave. */
  async ended(withinMs: number): Promise<void> {
    const until = performance.now() + withinMs;
    while (this.#entries.size > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  destroy(): void {
    clearInterval(this.#timer);
    for (const session of this.#entries.keys()) session.destroy();
  }

  #sweep(): void {
    const before = performance.now() - this.#idleMs;
    for (const [session, { streams, idleSince }] of this.#entries) {
      if (streams === 0 && idleSince < before) session.close();
    }
  }
}
