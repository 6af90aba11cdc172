import { setTimeout as sleep } from 'node:timers/promises';
import type { Link } from '@burrow/tunnel';

const LOOK_MS = 20;

/** Resolves once no link carries a channel any more: they have ended, or moved to other relays. At the latest after `withinMs`. */
export async function emptied(links: () => Iterable<Link>, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs;
  while (performance.now() < until) {
    let carries = false;
    for (const link of links()) carries ||= link.stats.channels > 0;
    if (!carries) return;
    await sleep(LOOK_MS);
  }
}
