/** Every number of the room that looks at channels, with its reason. */
export const TRACE_LIMITS = Object.freeze({
  /** Traces that people watch through this relay: support looks at one or two channels, not at all. */
  traces: 8,
  /** The same for what it tells other relays: eight relays may all be asked for as much. */
  feeds: 64,
  /** What is gathered before it is written: a person sees no difference, a busy channel costs fewer writes. */
  flushMs: 100,
  /** Frames that wait for a watcher; with `flushMs` the most that is told: 5,000 a second. Others are counted as lost. */
  waitingFrames: 500,
  /** The same for everything: attachments and ends are told when frames are not any more. */
  waitingEvents: 1_000,
  /** A relay that has nothing to tell says that it lives; below the peer port's `silentMs`. */
  aliveMs: 2_000,
  /** A relay that says nothing at all for so long is away. */
  silentMs: 8_000,
  /** An empty line to the watcher; below the 60 s of common load balancers. */
  keepAliveMs: 15_000,
  /** How often new relays are looked for, and those that are away asked again. */
  relookMs: 2_000,
  /** Relays that are asked for one trace or list. */
  relays: 500,
  /** After its end, what other relays still have to tell of it. */
  lingerMs: 500,
  /** A channel that no relay has: both ends keep it for the resume window of 60 s. */
  goneMs: 65_000,
  /** How often the right to watch is looked at. */
  accessMs: 500,
  /** The answers of all relays to one list. */
  listMs: 3_000,
  /** Attachments that one relay looks at for one list: some tens of ms of its event loop at most. */
  scanned: 20_000,
  /** One event of another relay. */
  lineBytes: 16 * 1024,
});

export type TraceLimits = { readonly [Name in keyof typeof TRACE_LIMITS]: number };
