import type { ChannelEvent, ChannelListener, FrameFacts, TracedFrame } from './events.ts';
import type { Link } from '../types.ts';
import type { LinkTap } from './link-tap.ts';
import type { ChannelView, Side } from './view.ts';

/** A link that can be listened to; of the package's own kind. */
export interface TappedLink extends Link {
  tap: LinkTap | undefined;
}

export interface Watch {
  /** Whether a link, which the channel takes now, is the watcher's to hear. */
  owns(link: Link): boolean;
  readonly listener: ChannelListener;
}

/** A channel that somebody watches, over all of its links in this process that are the watcher's. */
export class TracedChannel {
  readonly watch: Watch;
  readonly links = new Set<TappedLink>();
  /** Those that have ended too. */
  readonly #known = new WeakSet<Link>();
  #broken = false;
  /** How far payload has come here, at each place it passes: what is below passes again when it is replayed. */
  readonly #sent: Record<Side, number> = { agent: 0, opener: 0 };
  readonly #received: Record<Side, number> = { agent: 0, opener: 0 };

  constructor(watch: Watch) {
    this.watch = watch;
  }

  tell(event: ChannelEvent): void {
    if (this.#broken) return;
    try {
      this.watch.listener(event);
    } catch {
      // A watcher's fault must not become the channel's.
      this.#broken = true;
    }
  }

  /** It has been on this link since it is watched. */
  knows(link: Link): boolean {
    return this.#known.has(link);
  }

  /** With what had passed before anybody watched, as far as it is known. */
  took(link: TappedLink, { openedHere, toAgent, toOpener }: ChannelView): void {
    this.links.add(link);
    this.#known.add(link);
    this.#received.agent = Math.max(this.#received.agent, toOpener);
    // A switch counts what it has received: some of it may still be on its way out.
    const toward = openedHere ? this.#sent : this.#received;
    const side: Side = openedHere ? 'agent' : 'opener';
    toward[side] = Math.max(toward[side], toAgent);
  }

  /** Bytes that passed before (Data), or will once more (Resume, Resumed). */
  passes(side: Side, sent: boolean, frame: TracedFrame, facts: FrameFacts): number {
    const { offset = 0, length = 0, received = 0 } = facts;
    if (frame === 'resume') return this.#beyond('opener', received);
    if (frame === 'resumed') return this.#beyond('agent', received);
    if (frame !== 'data') return 0;
    const passed = sent ? this.#sent : this.#received;
    const again = Math.min(length, Math.max(0, passed[side] - offset));
    passed[side] = Math.max(passed[side], offset + length);
    return again;
  }

  /** What has passed on its way to this end, and has not arrived there. */
  #beyond(to: Side, arrived: number): number {
    const from: Side = to === 'agent' ? 'opener' : 'agent';
    return Math.max(0, Math.max(this.#sent[to], this.#received[from]) - arrived);
  }
}
