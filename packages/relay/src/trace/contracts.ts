import type { ChannelList, ChannelQuery, TraceEvent } from '@burrow/api';
import type { Readable } from 'node:stream';
import type { RelayInfo } from '../routing/registry.ts';
import type { ChannelRows, RowsQuery } from './rows.ts';

/** What other relays are asked; over the peer port. */
export interface OtherRelays {
  /** Those that live, without this one. Rejects when nobody can say. */
  relays(): Promise<readonly RelayInfo[]>;
  /** Rejects with TunnelError. */
  channels(relay: RelayInfo, query: RowsQuery, signal: AbortSignal): Promise<ChannelRows>;
  /** Rejects with TunnelError when the other relay tells nothing (any more), or with the signal's reason. */
  trace(
    relay: RelayInfo,
    what: FeedRequest,
    tell: (event: TraceEvent) => void,
    signal: AbortSignal,
  ): Promise<never>;
}

export interface FeedRequest {
  readonly uid: string;
  /** Data and Credit too. */
  readonly data: boolean;
}

/** What other relays ask of this one. */
export interface PeerAnswers {
  channels(query: RowsQuery): ChannelRows;
  /** Lines of JSON, until it is destroyed. Throws RelayError `too-many-requests`. */
  feed(what: FeedRequest): Readable;
}

export interface TraceRequest {
  /** 4 to 32 hex digits. */
  readonly id: string;
  readonly data: boolean;
  /** False: the watcher may no longer. Rejecting means: nobody could say, ask again. */
  readonly mayWatch: () => Promise<boolean>;
  /** Of the request: the client has gone. */
  readonly signal: AbortSignal;
}

export interface OpenTrace {
  /** The whole id. */
  readonly id: string;
  readonly workspace: string | null;
  readonly user: string | null;
  /** Lines of JSON: TraceEvent. Ends with `over` or `end`; destroying it ends the trace. */
  readonly lines: Readable;
}

/** The room that looks at channels, over all relays. */
export interface Tracing {
  list(query: ChannelQuery): Promise<ChannelList>;
  /** Rejects with RelayError: `not-found`, `conflict` (several begin so), `too-many-requests`. */
  trace(request: TraceRequest): Promise<OpenTrace>;
  readonly answers: PeerAnswers;
  /** Ends the traces that are watched here: the relay shuts down. Idempotent. */
  drain(): void;
  /** Ends what it tells other relays too. Idempotent. */
  stop(): void;
}
