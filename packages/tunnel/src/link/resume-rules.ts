import type { TunnelError, TunnelErrorCode } from '../errors.ts';

/**
 * Ends of a link that say nothing about its channels: the way broke, or is to be
 * left. A broken rule is not among them: the same frames would break it again.
 */
const WAY_BROKE: ReadonlySet<TunnelErrorCode> = new Set([
  'link-lost',
  'link-silent',
  'draining',
  'unavailable',
  'timed-out',
]);

/** False: the link was ended for what it carried (revoked, replaced, the agent stopped). */
export function outlivesItsLink(error: Pick<TunnelError, 'code'>): boolean {
  return WAY_BROKE.has(error.code);
}

/** Answers to Resume that speak of the way, not of the channel: tunnel.proto, "Resume". */
const NOT_THIS_WAY: ReadonlySet<TunnelErrorCode> = new Set(['agent-gone', 'draining', 'limit']);

export function mayWorkElsewhere(error: Pick<TunnelError, 'code'>): boolean {
  return NOT_THIS_WAY.has(error.code);
}

/** The agent vouches that the channel has not begun: it can be opened anew. */
export function neverBegan(error: Pick<TunnelError, 'code'>): boolean {
  return error.code === 'never-opened';
}

/** Why an end refuses to go on from where the other says to stand. */
export const IMPOSSIBLE_OFFSET = 'The channel was to go on from an offset that it never had.';
