import type { Link } from '@burrow/tunnel';
import type { ChannelView } from '@burrow/tunnel/trace';

/** What is at the other end of a link of this relay. */
export type Place =
  | { readonly kind: 'agent'; readonly agentId: string }
  /** A program of a person. */
  | { readonly kind: 'client' }
  /** Our own: an SSH connection in another thread. */
  | { readonly kind: 'ssh-gateway' }
  | { readonly kind: 'relay'; readonly id: string };

export interface Places {
  /** Every link that ends here. */
  links(): Iterable<readonly [Link, Place]>;
  /** Channels opened here that have no link now, with their agents. */
  detached(): Iterable<readonly [ChannelView, agentId: string]>;
}

export function nameOf(place: Place): string {
  return place.kind === 'relay' ? `relay ${place.id}` : place.kind;
}

/** The user's connection enters the cluster over such a link. */
export function isEntrance(place: Place): boolean {
  return place.kind === 'client' || place.kind === 'ssh-gateway';
}

export function placeOf(places: Places, link: Link): Place | undefined {
  for (const [each, place] of places.links()) if (each === link) return place;
  return undefined;
}
