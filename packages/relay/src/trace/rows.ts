import { channelKindSchema, channelStateSchema, type ChannelKind } from '@burrow/api';
import { channelsOn, type ChannelView } from '@burrow/tunnel/trace';
import { z } from 'zod';
import { isEntrance, type Place, type Places } from './places.ts';

const count = z.number().nonnegative();

/** What one relay knows of a channel. */
export const channelRow = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  /** Of the tunnel agent; empty: not known here. */
  agentId: z.string().max(100),
  user: z.string().max(300),
  kind: channelKindSchema.nullable(),
  target: z.string().max(100).nullable(),
  /** The user's connection enters here. */
  edge: z.boolean(),
  /** The agent's link ends here. */
  home: z.boolean(),
  ageMs: count,
  bytesToWorkload: count,
  bytesToUser: count,
  state: channelStateSchema,
  attachments: count,
});

export const channelRows = z.object({ rows: z.array(channelRow), more: z.boolean() });

export type ChannelRow = z.output<typeof channelRow>;
export type ChannelRows = z.output<typeof channelRows>;

export interface RowsQuery {
  /** Channels whose id begins so. */
  readonly prefix?: string | undefined;
  readonly agentId?: string | undefined;
  readonly limit: number;
}

/**
 * The channels that pass this relay, youngest first. Looks at `scanned` attachments at most, and holds no more: what is
 * beyond them is left out however young it is (`more`).
 */
export function channelRowsOf(
  places: Places,
  { prefix = '', agentId, limit }: RowsQuery,
  scanned: number,
): ChannelRows {
  const rows = new Map<string, ChannelRow>();
  let left = scanned;
  for (const [view, place] of attachments(places, prefix, agentId)) {
    if (left-- <= 0) break;
    if (view.state === 'ended') continue;
    rows.set(view.uid, merged(rows.get(view.uid), rowOf(view, place)));
  }
  const all = [...rows.values()]
    // A channel's agent may be known on one of its two links only.
    .filter((row) => agentId === undefined || row.agentId === agentId)
    .sort(youngestFirst);
  return { rows: all.slice(0, limit), more: left < 0 || all.length > limit };
}

/** In one order for those of one age, too. */
export function youngestFirst(a: ChannelRow, b: ChannelRow): number {
  return a.ageMs - b.ageMs || (a.id < b.id ? -1 : 1);
}

function* attachments(
  places: Places,
  prefix: string,
  agentId: string | undefined,
): Iterable<readonly [ChannelView, Place]> {
  for (const [link, place] of places.links()) {
    if (agentId !== undefined && place.kind === 'agent' && place.agentId !== agentId) continue;
    for (const view of channelsOn(link, prefix)) yield [view, place];
  }
  for (const [view, agentId] of places.detached()) {
    if (!view.uid.startsWith(prefix)) continue;
    yield [
      { ...view, state: 'detached' },
      { kind: 'agent', agentId },
    ];
  }
}

function rowOf(view: ChannelView, place: Place): ChannelRow {
  const { target, state } = view;
  return {
    id: view.uid,
    agentId: place.kind === 'agent' ? place.agentId : view.workload,
    user: view.principal.username,
    kind: kindOf(view, place),
    target: target === undefined ? null : targetOf(target),
    edge: view.openedHere || isEntrance(place),
    home: place.kind === 'agent' && state !== 'detached',
    ageMs: Math.round(view.ageMs),
    bytesToWorkload: view.toAgent,
    bytesToUser: view.toOpener,
    state: state === 'ended' ? 'half-closed' : state,
    attachments: view.epoch,
  };
}

function kindOf(view: ChannelView, place: Place): ChannelKind | null {
  if (place.kind === 'client') return 'client';
  if (place.kind === 'ssh-gateway') return 'ssh';
  if (!view.openedHere) return null;
  // A person's program that speaks SSH in a WebSocket.
  if (view.target?.kind === 'ssh') return 'client';
  return view.traffic === 'interactive' ? 'websocket' : 'http';
}

function targetOf(target: NonNullable<ChannelView['target']>): string {
  return target.kind === 'tcp' ? `tcp ${target.port}` : target.kind;
}

/** Two attachments of a channel, or two relays' words on it: `first` knows better, as far as it knows. */
export function merged(first: ChannelRow | undefined, second: ChannelRow): ChannelRow {
  if (first === undefined) return second;
  return {
    ...first,
    agentId: first.agentId || second.agentId,
    kind: first.kind ?? second.kind,
    target: first.target ?? second.target,
    edge: first.edge || second.edge,
    home: first.home || second.home,
    ageMs: Math.max(first.ageMs, second.ageMs),
    bytesToWorkload: Math.max(first.bytesToWorkload, second.bytesToWorkload),
    bytesToUser: Math.max(first.bytesToUser, second.bytesToUser),
    attachments: Math.max(first.attachments, second.attachments),
  };
}
