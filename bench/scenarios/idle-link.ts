import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../lib/child.ts';
import { residentKb } from '../lib/resident.ts';
import type { Scenario } from '../scenario.ts';
import { agentEnvironment, startBurrow, type Build, type Burrow } from '../systems/burrow.ts';

/** What one agent may hold by default (`agents.maxLinksPerAgent`). */
const LINKS_PER_AGENT = 16;
/** The first thousand links pay for code, pools and the heap's young generation; the next three thousand are counted. */
const FIRST_AGENTS = 63;
const MORE_AGENTS = 188;

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
 * Growth of a relay's resident memory from 1008 idle plain links to 4016, per
 * link, in KB: what each further agent costs a relay that is at work.
 */
export async function idleLinkKb(directory: string, build?: Build): Promise<number> {
  // A relay of its own for each round: one that has worked holds free memory, and would seem to need none.
  await using relay = await startBurrow(directory, build);
  const tokens: string[] = [];
  for (let i = 0; i < FIRST_AGENTS + MORE_AGENTS; i += 1) {
    const name = `idle-${randomBytes(3).toString('hex')}-${i}`;
    const created = await relay.client.workspaces.create({ name, driver: 'external' });
    tokens.push(agentEnvironment(created, relay.port)['BURROW_AGENT_TOKEN'] ?? '');
  }
  const first = await hold(relay, tokens.slice(0, FIRST_AGENTS));
  const before = residentKb(relay.pid);
  const more = await hold(relay, tokens.slice(FIRST_AGENTS));
  const after = residentKb(relay.pid);
  await more.stop();
  await first.stop();
  return (after - before) / (LINKS_PER_AGENT * MORE_AGENTS);
}

export const idleLink: Scenario = {
  results: { 'idle-link-kb': 'KB' },
  systems: ['burrow'],
  run: async (stand) => ({ 'idle-link-kb': await idleLinkKb(stand.directory) }),
};
