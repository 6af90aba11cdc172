import { TunnelError } from '../errors.ts';
import { ChannelEnd } from '../link/channel.ts';
import { LinkCore } from '../link/link.ts';
import type { Link, Resumable } from '../types.ts';
import type { ChannelListener } from './events.ts';
import { traces, type TraceableLink } from './traces.ts';
import type { ChannelView } from './view.ts';

export type { ChannelEvent, ChannelListener, FrameFacts, TracedFrame } from './events.ts';
export type { ChannelState, ChannelView, Side } from './view.ts';

/** What the link carries now, of channels whose uid begins so. */
export function* channelsOn(link: Link, prefix = ''): Iterable<ChannelView> {
  for (const each of own(link).attachments()) {
    if (each.uid.startsWith(prefix)) yield each.view();
  }
}

/** A channel that perhaps no link carries. */
export function viewOf(channel: Resumable): ChannelView {
  if (channel instanceof ChannelEnd) return channel.view();
  throw new TunnelError('internal', 'Only channels of this package can be looked at.');
}

export interface TraceOptions {
  /** Links that the channel may be on. */
  readonly links: Iterable<Link>;
  /** Asked of each link that it takes later: other parts of the process are not listened to. */
  owns(link: Link): boolean;
  /** Called in the middle of a link's work: it must be quick, and call nothing of this package. */
  readonly listener: ChannelListener;
}

/**
 * Tells what happens to a channel on links of this process, until the returned
 * function is called (idempotent). The channel need not be there yet.
 */
export function traceChannel(uid: string, { links, ...watch }: TraceOptions): () => void {
  return traces.start(uid, [...links].map(own), watch);
}

function own(link: Link): TraceableLink {
  if (link instanceof LinkCore) return link;
  throw new TunnelError('internal', 'Only links of this package can be traced.');
}
