import { TunnelError } from '../errors.ts';
import { LinkCore } from '../link/link.ts';
import type { Link } from '../types.ts';
import type { ChannelListener } from './events.ts';
import { traces, type TraceableLink } from './traces.ts';
import type { ChannelView } from './view.ts';

export type { ChannelEvent, ChannelListener, FrameFacts, TracedFrame } from './events.ts';
export type { ChannelState, ChannelView, Side } from './view.ts';

/** What the link carries now. */
export function* channelsOn(link: Link): Iterable<ChannelView> {
  for (const each of own(link).attachments()) yield each.view();
}

/** What is known of a channel apart from links; undefined: it is not of this process's making. */
export function viewOf(channel: object): ChannelView | undefined {
  return channel instanceof Object && 'view' in channel
    ? (channel as { view(): ChannelView }).view()
    : undefined;
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
