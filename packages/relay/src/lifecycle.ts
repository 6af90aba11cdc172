import { RelayError } from './errors.ts';

export type RelayState = 'starting' | 'ready' | 'draining';

/**
 * How a relay starts and stops, told by who knows its rooms. Starting: `begin`, one after the other, then `open`.
 *
 * Stopping is a story in six parts:
 *  1. `say`: not ready, gRPC health NOT_SERVING, so that balancers look elsewhere.
 *  2. `shut`: let nobody in; the port closes, new links are refused.
 *  3. `drain`: ask those inside to leave: GOAWAY to HTTP/2, `Connection: close` to HTTP/1. In a cluster agents
 *     link elsewhere first; else they stay, since what is under way needs them.
 *  4. It resolves when nothing is under way, at most after the grace; who is in more of a hurry does not wait for it.
 *  5. `end`: cut what is left, from the outside in: gateway, links (each agent is told why), sockets.
 *  6. And close what they stood on: control plane with its workloads, then the database, which was
 *     needed to write down who left.
 */
export interface LifeStory {
  readonly begin: readonly (() => Promise<unknown>)[];
  open(): void;
  say(): void;
  shut(): Promise<void>;
  drain(graceMs: number): Promise<void>;
  end(): Promise<void>;
}

/** One start and one stop, at whatever moment of the other. */
export class Lifecycle {
  #state: RelayState = 'starting';
  #beginning: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  readonly #hurried = Promise.withResolvers<void>();

  get state(): RelayState {
    return this.#state;
  }

  /** Rejects with what a part rejects with, or `unavailable` when it was stopped meanwhile; then all has been stopped. */
  async start(story: LifeStory): Promise<void> {
    this.#beginning = this.#begin(story);
    try {
      await this.#beginning;
    } catch (error) {
      await this.stop(story, 0);
      throw error;
    }
  }

  /** A second call waits for the first, and shortens its grace to the smaller one. ms */
  async stop(story: LifeStory, graceMs: number): Promise<void> {
    if (this.#stopping === undefined) return (this.#stopping = this.#stop(story, graceMs));
    const hurry = setTimeout(() => this.#hurried.resolve(), graceMs);
    await this.#stopping.finally(() => clearTimeout(hurry));
  }

  async #begin(story: LifeStory): Promise<void> {
    for (const part of story.begin) {
      await part();
      // Then no part is started any more.
      if (this.#state !== 'starting') {
        throw new RelayError('unavailable', 'The relay was stopped while it started.');
      }
    }
    this.#state = 'ready';
    story.open();
  }

  async #stop(story: LifeStory, graceMs: number): Promise<void> {
    const started = this.#state !== 'starting';
    this.#state = 'draining';
    story.say();
    // A part that is just being started would outlive all.
    if (!started) await this.#beginning?.catch(() => {});
    try {
      await story.shut();
      if (started) await Promise.race([story.drain(graceMs), this.#hurried.promise]);
    } finally {
      await story.end();
    }
  }
}
