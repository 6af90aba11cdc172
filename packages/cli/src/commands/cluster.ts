import type { ClusterRelay } from '@burrow/api';
import type { Command } from 'commander';
import { printJson, table, tell } from '../output.ts';
import { readSettings } from '../settings/settings.ts';

const COLUMNS = [
  'RELAY',
  'RUN',
  'VERSION',
  'STATE',
  'UP',
  'AGENTS',
  'LINKS',
  'CHANNELS',
  'PEERS',
  'URL',
];

export function register(program: Command): void {
  const cluster = program.command('cluster').summary('the relays (for administrators)');
  cluster
    .command('status')
    .summary('the relays, what they carry, and how far a drain has come')
    .option('--json', 'for scripts: as the API gives it')
    .action(async (options: { readonly json?: boolean }) => {
      const { apiOf, explained } = await import('../relay/api.ts');
      const { relays, problem } = await explained(apiOf(readSettings()).cluster());
      if (options.json === true) return printJson({ relays, problem });
      process.stdout.write(table([COLUMNS, ...relays.map(rowOf)]));
      for (const { id, problem: why } of relays) if (why !== null) tell(`${id}: ${why}`);
      if (problem !== null) tell(`Some relays may be missing: ${problem}`);
    });
}

/** One relay; the one that answered is marked. */
export function rowOf({ id, incarnation, version, self, stats }: ClusterRelay): string[] {
  const first = [self ? `${id} *` : id, incarnation.slice(0, 8), version];
  if (stats === null) return [...first, 'no answer', '-', '-', '-', '-', '-', '-'];
  const { state, drain, uptimeSeconds, agents, links, channels, peerLinks, url } = stats;
  return [
    ...first,
    drain === null ? state : `${state}, ${drain.busy} left, ${drain.secondsLeft} s`,
    duration(uptimeSeconds),
    String(agents),
    String(links),
    String(channels),
    `${peerLinks.in} in, ${peerLinks.out} out`,
    url,
  ];
}

/** Two units at most. */
function duration(seconds: number): string {
  const [days, hours, minutes] = [86_400, 3_600, 60].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  if (days > 0) return `${days}d ${hours % 24}h`;
  if (hours > 0) return `${hours}h ${minutes % 60}m`;
  return minutes > 0 ? `${minutes}m ${seconds % 60}s` : `${seconds}s`;
}
