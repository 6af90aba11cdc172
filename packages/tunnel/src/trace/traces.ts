import type { TunnelError } from '../errors.ts';
import type { Link } from '../types.ts';
import { type Attachment, LinkTap } from './link-tap.ts';
import { type TappedLink, TracedChannel, type Watch } from './traced-channel.ts';

export interface TraceableLink extends TappedLink {
  attachments(): Iterable<Attachment>;
}

/** The channels of this process that somebody watches. Nearly always none: `active` is all that links ask then. */
class Traces {
  active = false;
  /** By uid. */
  readonly #channels = new Map<string, Set<TracedChannel>>();

  /** Returns what ends it, idempotent. */
  start(uid: string, links: Iterable<TraceableLink>, watch: Watch): () => void {
    const channel = new TracedChannel(watch);
    this.#add(uid, channel);
    for (const link of links) {
      for (const each of link.attachments()) if (each.uid === uid) tapOn(link, each, channel);
    }
    return () => this.#end(channel);
  }

  attached(link: TraceableLink, each: Attachment): void {
    for (const channel of this.#of(each.uid)) {
      if (!channel.watch.owns(link)) continue;
      tapOn(link, each, channel);
      const { side, epoch } = each.view();
      channel.tell({ kind: 'attached', link, side, number: each.number, epoch });
    }
  }

  /** `link`: towards the opener, if that is not here. */
  over(
    uid: string,
    link: Link,
    openedHere: boolean,
    why?: Pick<TunnelError, 'code' | 'message'>,
  ): void {
    const because = why === undefined ? {} : { code: why.code, why: why.message };
    for (const channel of this.#of(uid)) {
      if (channel.knows(link)) channel.tell({ kind: 'over', link, openedHere, ...because });
    }
  }

  renamed(from: string, link: Link, to: string): void {
    for (const channel of this.#of(from)) {
      if (!channel.knows(link)) continue;
      this.#remove(from, channel);
      this.#add(to, channel);
      channel.tell({ kind: 'renamed', uid: to });
    }
  }

  #of(uid: string): readonly TracedChannel[] {
    return [...(this.#channels.get(uid) ?? [])];
  }

  #add(uid: string, channel: TracedChannel): void {
    const all = this.#channels.get(uid) ?? new Set();
    this.#channels.set(uid, all.add(channel));
    this.active = true;
  }

  #remove(uid: string, channel: TracedChannel): void {
    const all = this.#channels.get(uid);
    if (all?.delete(channel) === true && all.size === 0) this.#channels.delete(uid);
    this.active = this.#channels.size > 0;
  }

  #end(channel: TracedChannel): void {
    for (const link of channel.links) {
      link.tap?.remove(channel);
      if (link.tap?.empty === true) link.tap = undefined;
    }
    channel.links.clear();
    for (const uid of this.#channels.keys()) this.#remove(uid, channel);
  }
}

export const traces = new Traces();

function tapOn(link: TraceableLink, each: Attachment, channel: TracedChannel): void {
  const view = each.view();
  link.tap ??= new LinkTap(link);
  link.tap.add(each.number, view.side, channel);
  channel.took(link, view);
}
