import type { TracedFrame, TraceEvent } from '@burrow/api';
import type { Link } from '@burrow/tunnel';
import { channelsOn, traceChannel, type ChannelEvent, type FrameFacts } from '@burrow/tunnel/trace';
import { isEntrance, nameOf, placeOf, type Place, type Places } from './places.ts';

export interface FeedOptions {
  /** 32 hex digits. */
  readonly uid: string;
  /** This relay's id. */
  readonly relay: string;
  readonly places: Places;
  /** Data and Credit too. */
  readonly data: boolean;
  readonly tell: (event: TraceEvent) => void;
}

const NAMES: Readonly<Record<string, TracedFrame>> = {
  open: 'Open',
  opened: 'Opened',
  data: 'Data',
  credit: 'Credit',
  fin: 'Fin',
  reset: 'Reset',
  resume: 'Resume',
  resumed: 'Resumed',
  detached: 'Detached',
};

/** Tells what happens to a channel on the links of this relay, what there is of it now first. Returns what ends it. */
export function openFeed({ uid, relay, places, data, tell }: FeedOptions): () => void {
  /** Links that the channel has been on; a link that has ended is in no table any more. */
  const known = new Map<Link, Place>();
  const where = (): { at: string; relay: string } => ({ at: new Date().toISOString(), relay });

  const place = (link: Link): Place | undefined => {
    const found = known.get(link) ?? placeOf(places, link);
    if (found !== undefined) known.set(link, found);
    return found;
  };

  function listener(event: ChannelEvent): void {
    if (event.kind === 'renamed') return tell({ event: 'renamed', ...where(), id: event.uid });
    const { link } = event;
    const at = place(link);
    if (at === undefined) return;
    if (event.kind === 'over') {
      // What ends between two relays is told by the one where the user comes in.
      if (!event.openedHere && !isEntrance(at)) return;
      const { code = null, why = 'Both sides have ended.' } = event;
      return tell({ event: 'over', ...where(), code, reason: why });
    }
    const on = { ...where(), link: link.id, with: nameOf(at) };
    if (event.kind === 'attached') return tell({ event: 'attached', ...on, epoch: event.epoch });
    if (event.kind === 'detached') {
      return tell({ event: 'detached', ...on, code: event.code ?? null, reason: event.why });
    }
    if (!data && (event.frame === 'data' || event.frame === 'credit')) return;
    tell({
      event: 'frame',
      ...on,
      direction: event.sent ? 'sent' : 'received',
      frame: NAMES[event.frame]!,
      ...(event.facts as { -readonly [Name in keyof FrameFacts]: NonNullable<FrameFacts[Name]> }),
      ...(event.again > 0 ? { replayed: event.again } : {}),
    });
  }

  const now: Extract<TraceEvent, { event: 'watching' }>['attachments'] = [];
  const links: Link[] = [];
  for (const [link, at] of places.links()) {
    links.push(link);
    for (const view of channelsOn(link, uid)) {
      known.set(link, at);
      const { epoch, state, toAgent, toOpener } = view;
      const bytes = { bytesToWorkload: toAgent, bytesToUser: toOpener };
      now.push({ link: link.id, with: nameOf(at), epoch, state, ...bytes });
    }
  }
  tell({ event: 'watching', ...where(), channel: uid, attachments: now });
  return traceChannel(uid, { links, owns: (link) => place(link) !== undefined, listener });
}
