import { PassThrough } from 'node:stream';
import type { TraceEvent } from '@burrow/api';
import { RelayError } from '../errors.ts';
import { channelOf, clusterRows, type ClusterRows } from './cluster-rows.ts';
import { ClusterTrace } from './cluster-trace.ts';
import type { FeedRequest, OtherRelays, Tracing } from './contracts.ts';
import { openFeed } from './feed.ts';
import { TRACE_LIMITS, type TraceLimits } from './limits.ts';
import { LineQueue } from './line-queue.ts';
import type { Places } from './places.ts';
import { pump } from './pump.ts';
import { channelRowsOf, type RowsQuery } from './rows.ts';

export interface TracingOptions {
  /** This relay's id. */
  readonly self: string;
  readonly places: Places;
  /** Undefined: this relay stands alone. */
  readonly others: OtherRelays | undefined;
  /** By name; undefined: there is none. */
  readonly agentOf: (workspace: string) => Promise<string | undefined>;
  /** The names of these agents' workspaces, as far as they are known. */
  readonly workspacesOf: (agentIds: readonly string[]) => Promise<ReadonlyMap<string, string>>;
  readonly limits?: Partial<TraceLimits>;
}

/** How many of several channels that begin alike are named. */
const NAMED = 5;
const WHOLE = 32;

export function createTracing(options: TracingOptions): Tracing {
  const { self, places, others } = options;
  const limits = { ...TRACE_LIMITS, ...options.limits };
  const open = new Set<ClusterTrace>();
  const feeds = new Set<() => void>();
  let pending = 0;
  let draining = false;

  const rows = (query: RowsQuery): Promise<ClusterRows> =>
    clusterRows(
      {
        ...{ self, others, relays: limits.relays, withinMs: limits.listMs },
        own: (asked) => channelRowsOf(places, asked, limits.scanned),
      },
      query,
    );

  const list: Tracing['list'] = async ({ workspace, relay, limit }) => {
    const agentId = workspace === undefined ? undefined : await options.agentOf(workspace);
    if (workspace !== undefined && agentId === undefined) {
      throw new RelayError('workspace-unknown', `There is no workspace “${workspace}”.`, {
        blame: 'client',
      });
    }
    const found = await rows({ agentId, limit });
    const wanted = found.rows.filter(
      ({ edgeId, homeId }) => relay === undefined || edgeId === relay || homeId === relay,
    );
    const page = wanted.slice(0, limit);
    const names = await options.workspacesOf(agentsIn(page));
    return {
      channels: page.map((row) => channelOf(row, names.get(row.agentId) ?? null)),
      more: found.more || wanted.length > limit,
      problems: found.problems,
    };
  };

  /** The channel that the digits name. One that is named whole may be between two links just now. */
  async function named(id: string) {
    const found = await rows({ prefix: id, limit: NAMED + 1 });
    const [row, ...rest] = found.rows;
    if (rest.length > 0) {
      const some = found.rows.slice(0, NAMED).map(({ id: each }) => each);
      throw new RelayError(
        'conflict',
        `Several channels begin with “${id}”: ${some.join(', ')}${found.rows.length > NAMED ? ', …' : ''}. Give more digits.`,
        { blame: 'client' },
      );
    }
    if (row !== undefined || id.length === WHOLE) return row;
    const silent = found.problems.map(({ relay }) => relay).join(', ');
    throw new RelayError(
      'not-found',
      silent === ''
        ? `No relay carries a channel whose id begins with “${id}” now.`
        : `No relay that answers carries a channel whose id begins with “${id}”; no answer came from ${silent}.`,
      { blame: 'client' },
    );
  }

  const trace: Tracing['trace'] = async ({ id, data, mayWatch, signal }) => {
    if (draining) {
      throw new RelayError('unavailable', 'The relay shuts down; ask again.', { retryAfter: 1 });
    }
    if (open.size + pending >= limits.traces) {
      throw new RelayError(
        'too-many-requests',
        `${limits.traces} channels are traced through this relay already; end one of those traces first.`,
        { blame: 'policy', retryAfter: 10 },
      );
    }
    pending += 1;
    try {
      const row = await named(id);
      const uid = row?.id ?? id;
      const names = await options.workspacesOf(row === undefined ? [] : agentsIn([row]));
      const made: ClusterTrace = new ClusterTrace({
        ...{ uid, data, self, others, limits, mayWatch, signal },
        own: (what, tell) => openFeed({ ...what, relay: self, places, tell }),
        onEnd: () => open.delete(made),
      });
      open.add(made);
      if (signal.aborted || draining) made.lines.destroy();
      const workspace = names.get(row?.agentId ?? '') ?? null;
      return { id: uid, workspace, user: row?.user ?? null, lines: made.lines };
    } finally {
      pending -= 1;
    }
  };

  function feed(what: FeedRequest): PassThrough {
    if (feeds.size >= limits.feeds) {
      throw new RelayError(
        'too-many-requests',
        `The relay “${self}” tells of ${limits.feeds} channels already.`,
      );
    }
    const lost = (count: number): TraceEvent => ({
      ...{ event: 'lost', at: new Date().toISOString(), relay: self, count },
    });
    const queue = new LineQueue(limits, lost);
    const lines = new PassThrough();
    const stopFeed = openFeed({
      ...what,
      ...{ relay: self, places },
      tell: (event) => queue.push(event),
    });
    const finish = pump(queue, lines, {
      flushMs: limits.flushMs,
      idle: { line: '', everyMs: limits.aliveMs },
    });
    const stop = (): void => {
      feeds.delete(stop);
      stopFeed();
      finish();
    };
    feeds.add(stop);
    lines.once('close', stop);
    return lines;
  }

  return {
    list,
    trace,
    answers: { channels: (query) => channelRowsOf(places, query, limits.scanned), feed },
    drain() {
      draining = true;
      for (const each of [...open]) each.end('draining', `The relay “${self}” shuts down.`);
    },
    stop() {
      this.drain();
      for (const stop of [...feeds]) stop();
    },
  };
}

function agentsIn(rows: readonly { readonly agentId: string }[]): string[] {
  return [...new Set(rows.map(({ agentId }) => agentId).filter((id) => id !== ''))];
}
