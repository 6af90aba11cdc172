import type { Link } from '@burrow/tunnel';

/**
 * When the pool grows and shrinks. Pure functions of what the links say.
 */

/** Channels on every link at which one more link is worth its memory (about 30 KB on the relay). */
export const BUSY_CHANNELS = 64;
/** A link must be superfluous for so long before it goes (ms). */
export const IDLE_MS = 60_000;
/** Dials in a row that may meet a relay that the pool already has. */
export const SPREAD_TRIES = 5;

/**
 * True when another link would help: no link is left without bulk although
 * somebody else is there to wait behind it, or every link carries many channels.
 */
export function busy(links: readonly Link[]): boolean {
  if (links.length === 0) return false;
  let channels = 0;
  let allBulk = true;
  let allFull = true;
  for (const { stats } of links) {
    channels += stats.channels;
    if (!stats.bulk) allBulk = false;
    if (stats.channels < BUSY_CHANNELS) allFull = false;
  }
  return allFull || (allBulk && channels > links.length);
}

/** True when one link fewer would do: half the threshold, so that the pool does not swing. */
export function spare(links: readonly Link[]): boolean {
  let channels = 0;
  let bulk = 0;
  for (const { stats } of links) {
    channels += stats.channels;
    if (stats.bulk) bulk += 1;
  }
  const left = links.length - 1;
  return bulk < left && channels < (left * BUSY_CHANNELS) / 2;
}
