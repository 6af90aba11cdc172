import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../lib/child.ts';
import { residentKb } from '../lib/resident.ts';
import type { Scenario } from '../scenario.ts';
import { agentEnvironment, startBurrow, type Burrow } from '../systems/burrow.ts';

/** What one agent may hold by default (`agents.maxLinksPerAgent`). */
const LINKS_PER_AGENT = 16;
const AGENTS = 63;

/** Time for the relay to write what it notes of new agents, and to collect its garbage. */
const SETTLE_MS = 3000;

async function hold(relay: Burrow, tokens: readonly string[]): Promise<Child> {
  const child = new Child(process.execPath, [
    join(import.meta.dirname, '../lib/idle-links-process.ts'),
  ]);
  child.write(
    `${JSON.stringify({ url: `http://127.0.0.1:${relay.port}`, links: LINKS_PER_AGENT, tokens })}\n`,
  );
  await child.until(() => child.said.includes('ready'));
  await sleep(SETTLE_MS);
  return child;
}

/**
 * Growth of the relay's resident memory by 1008 idle plain links, per link. A
 * tenth of them comes and goes first, so that code and pools count as the relay's.
 */
export const idleLink: Scenario = {
  results: { 'idle-link-kb': 'KB' },
  systems: ['burrow'],
  run: async (stand) => {
    // A relay of its own for each round: one that has worked holds free memory, and would seem to need none.
    await using relay = await startBurrow(stand.directory);
    const names = Array.from(
      { length: AGENTS },
      (_, i) => `idle-${randomBytes(3).toString('hex')}-${i}`,
    );
    const tokens: string[] = [];
    for (const name of names) {
      const created = await relay.client.workspaces.create({ name, driver: 'external' });
      tokens.push(agentEnvironment(created, relay.port)['BURROW_AGENT_TOKEN'] ?? '');
    }
    const first = await hold(relay, tokens.slice(0, 6));
    await first.stop();
    await sleep(SETTLE_MS);
    const before = residentKb(relay.pid);
    const held = await hold(relay, tokens);
    const after = residentKb(relay.pid);
    await held.stop();
    return { 'idle-link-kb': (after - before) / (LINKS_PER_AGENT * AGENTS) };
  },
};
