import type { RelayRecord } from './relay-record.ts';
import { newer } from './relay-record.ts';

export interface TwinsLog {
  error(fields: object, message: string): void;
}

/** Between two complaints about the same pair, ms. */
const REPEAT_MS = 60_000;

/**
 * Notices that two processes run under one relay id. A relay that was killed and
 * started again has an older incarnation for as long as its lease lasts: only one
 * that outlives a lease is alive.
 */
export class Twins {
  readonly #seen = new Map<string, { first: number; told: number }>();
  readonly #leaseMs: number;
  readonly #log: TwinsLog;

  constructor(leaseMs: number, log: TwinsLog) {
    this.#leaseMs = leaseMs;
    this.#log = log;
  }

  /** `now`: ms, monotonic. */
  check(self: RelayRecord, live: readonly RelayRecord[], now: number): void {
    const twins = live.filter(
      ({ id, incarnation }) => id === self.id && incarnation !== self.incarnation,
    );
    for (const known of this.#seen.keys()) {
      if (!twins.some(({ incarnation }) => incarnation === known)) this.#seen.delete(known);
    }
    for (const twin of twins) {
      const known = this.#seen.get(twin.incarnation) ?? { first: now, told: -Infinity };
      this.#seen.set(twin.incarnation, known);
      if (now - known.first <= this.#leaseMs || now - known.told < REPEAT_MS) continue;
      known.told = now;
      const older = newer(twin, self);
      this.#log.error(
        {
          relay: self.id,
          incarnation: self.incarnation,
          other: twin.incarnation,
          otherPeerUrl: twin.peerUrl,
          holdsTheName: older ? twin.incarnation : self.incarnation,
        },
        `two running relays call themselves ${self.id}; ${older ? 'the other one is newer and has the name' : 'this one is newer and has the name'}: give each its own cluster.relayId`,
      );
    }
  }
}
