import type { Channel, ChannelList } from '@burrow/api';
import { within } from '../within.ts';
import type { OtherRelays } from './contracts.ts';
import {
  merged,
  youngestFirst,
  type ChannelRow,
  type ChannelRows,
  type RowsQuery,
} from './rows.ts';

export interface ClusterRow extends ChannelRow {
  readonly edgeId: string | null;
  readonly homeId: string | null;
}

export interface ClusterRows {
  readonly rows: readonly ClusterRow[];
  readonly more: boolean;
  readonly problems: ChannelList['problems'];
}

export interface ClusterRowsDeps {
  /** This relay's id. */
  readonly self: string;
  readonly own: (query: RowsQuery) => ChannelRows;
  readonly others: OtherRelays | undefined;
  readonly relays: number;
  /** Bounds the whole, ms. */
  readonly withinMs: number;
}

/** The channels of all relays, each once, youngest first. Never rejects: who does not answer is listed. */
export async function clusterRows(deps: ClusterRowsDeps, query: RowsQuery): Promise<ClusterRows> {
  const { self, others } = deps;
  const signal = AbortSignal.timeout(deps.withinMs);
  const problems: ChannelList['problems'] = [];
  const answers: (readonly [string, ChannelRows])[] = [[self, deps.own(query)]];
  try {
    const living = await within(
      deps.withinMs,
      others?.relays() ?? [],
      () =>
        new Error(`The registry did not say within ${deps.withinMs} ms which relays there are.`),
    );
    const relays = living.slice(0, deps.relays);
    await Promise.all(
      relays.map(async (relay) => {
        try {
          answers.push([relay.id, await others!.channels(relay, query, signal)]);
        } catch (error) {
          problems.push({ relay: relay.id, problem: (error as Error).message });
        }
      }),
    );
  } catch (error) {
    problems.push({ relay: '*', problem: (error as Error).message });
  }
  const rows = new Map<string, ClusterRow>();
  for (const [id, answer] of answers) {
    for (const row of answer.rows) {
      const known = rows.get(row.id);
      const told = { ...row, edgeId: row.edge ? id : null, homeId: row.home ? id : null };
      rows.set(row.id, known === undefined ? told : joined(known, told));
    }
  }
  return {
    rows: [...rows.values()].sort(youngestFirst),
    more: answers.some(([, { more }]) => more),
    problems,
  };
}

function joined(a: ClusterRow, b: ClusterRow): ClusterRow {
  // Where the user comes in is known how it stands: between two ways, say.
  const [first, second] = b.edge ? [b, a] : [a, b];
  return {
    ...first,
    ...merged(first, second),
    edgeId: first.edgeId ?? second.edgeId,
    homeId: first.homeId ?? second.homeId,
  };
}

export function channelOf(row: ClusterRow, workspace: string | null): Channel {
  const { id, user, kind, target, edgeId, homeId, ageMs } = row;
  const { bytesToWorkload, bytesToUser, state, attachments } = row;
  return {
    ...{ id, workspace, user, kind, target, edge: edgeId, home: homeId },
    ageSeconds: Math.floor(ageMs / 1000),
    ...{ bytesToWorkload, bytesToUser, state, attachments },
  };
}
