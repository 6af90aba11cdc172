import type { Channel, ClusterRelay } from '@burrow/api';
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

/** Of a channel's id: enough that they hardly ever mean another. */
const SHOWN_DIGITS = 8;

const CHANNEL_COLUMNS = [
  ...['CHANNEL', 'WORKSPACE', 'USER', 'KIND', 'TARGET', 'EDGE', 'HOME', 'AGE'],
  ...['TO WORKLOAD', 'TO USER', 'EPOCH', 'STATE'],
];

interface ChannelsOptions {
  readonly workspace?: string;
  readonly relay?: string;
  readonly limit?: number;
  readonly json?: boolean;
}

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
  cluster
    .command('channels')
    .summary('open channels, over all relays; burrow trace shows what happens to one')
    .option('--workspace <name>', 'only those to this workspace')
    .option('--relay <id>', 'only those that enter or leave the cluster at this relay')
    .option('--limit <count>', 'so many at most; default 200', Number)
    .option('--json', 'for scripts: as the API gives them')
    .action(async ({ json, ...query }: ChannelsOptions) => {
      const { apiOf, explained } = await import('../relay/api.ts');
      const { channels, more, problems } = await explained(apiOf(readSettings()).channels(query));
      if (json === true) return printJson({ channels, more, problems });
      if (channels.length === 0) tell('No channel is open.');
      else process.stdout.write(table([CHANNEL_COLUMNS, ...channels.map(channelRowOf)]));
      if (more) tell('There are more: name a workspace or a relay, or raise the limit.');
      for (const each of problems) tell(`${each.relay}: ${each.problem}`);
    });
}

/** One channel; what is not known is a dash. */
export function channelRowOf(channel: Channel): string[] {
  const { id, workspace, user, kind, target, edge, home } = channel;
  return [
    ...[id.slice(0, SHOWN_DIGITS), workspace ?? '-', user, kind ?? '-', target ?? '-'],
    ...[edge ?? '-', home ?? '-', duration(channel.ageSeconds)],
    ...[channel.bytesToWorkload, channel.bytesToUser, channel.attachments].map(String),
    channel.state,
  ];
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
