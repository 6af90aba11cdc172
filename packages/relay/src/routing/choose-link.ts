import type { Link, LinkStats, Traffic } from '@burrow/tunnel';

/**
 * The link for a new channel, or undefined when none is usable.
 *
 * A keystroke must not wait behind a copy, so interactive channels go to a link
 * without bulk, the one with the fewest channels. Bulk gathers on links that carry
 * bulk already, as long as this leaves a clean one; among equals the one with
 * the least queued. Unknown traffic starts as bulk would: most of it never grows,
 * and a page's many small requests must not crowd the editor's link.
 *
 * A link that does not answer comes last, whatever it carries.
 *
 * Called for each new channel: it allocates nothing.
 */
export function chooseLink(links: readonly Link[], traffic: Traffic): Link | undefined {
  let best: Link | undefined;
  let bestStats: LinkStats | undefined;
  for (const link of links) {
    if (link.closed || link.draining) continue;
    const stats = link.stats;
    if (bestStats === undefined || better(stats, bestStats, traffic)) {
      best = link;
      bestStats = stats;
    }
  }
  return best;
}

function better(a: LinkStats, b: LinkStats, traffic: Traffic): boolean {
  if (a.silent !== b.silent) return b.silent;
  if (traffic === 'interactive') {
    if (a.bulk !== b.bulk) return !a.bulk;
    if (a.bulk && a.queuedBytes !== b.queuedBytes) return a.queuedBytes < b.queuedBytes;
    return a.channels < b.channels;
  }
  // Preferring a link with bulk leaves the other one clean: `a` and `b` are two links.
  if (a.bulk !== b.bulk) return a.bulk;
  if (a.queuedBytes !== b.queuedBytes) return a.queuedBytes < b.queuedBytes;
  return a.channels < b.channels;
}
