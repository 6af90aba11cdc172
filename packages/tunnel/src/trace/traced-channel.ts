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
  /** How far each direction has come here: what is below passes again when it is replayed. */
  readonly #passed: Record<Side, number> = { agent: 0, opener: 0 };

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

  /** With what had passed before anybody watched. */
  took(link: TappedLink, { toAgent, toOpener }: ChannelView): void {
    this.links.add(link);
    this.#known.add(link);
    this.#passed.agent = Math.max(this.#passed.agent, toAgent);
    this.#passed.opener = Math.max(this.#passed.opener, toOpener);
  }

  /** Bytes that passed before (Data), or will once more (Resume, Resumed). */
  passes(side: Side, sent: boolean, frame: TracedFrame, facts: FrameFacts): number {
    const passed = this.#passed;
    if (frame === 'resume') return Math.max(0, passed.opener - (facts.received ?? 0));
    if (frame === 'resumed') return Math.max(0, passed.agent - (facts.received ?? 0));
    if (frame !== 'data') return 0;
    const to: Side = sent ? side : other(side);
    const { offset = 0, length = 0 } = facts;
    const again = Math.min(length, Math.max(0, passed[to] - offset));
    passed[to] = Math.max(passed[to], offset + length);
    return again;
  }
}

function other(side: Side): Side {
  return side === 'agent' ? 'opener' : 'agent';
}
