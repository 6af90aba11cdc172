import type { Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { addressGroup, AttemptLimit } from './attempts.ts';
import { failureCount } from './failure-count.ts';
import type { Wait } from './attempt-wait.ts';
import { knownAddresses } from './known-addresses.ts';
import { AUTH_LIMITS } from './limits.ts';

/**
 * What an attempt was aimed at: the workspace it asked for, whether there is one or not, or the person
 * who is signed in already. What names neither counts for its address alone.
 */
export type Aim = `workspace:${string}` | `user:${string}`;

/**
 * Failed sign-ins by address, and by what they were aimed at from all addresses together, over all
 * relays of a database. An address from which somebody signed in lately never waits for what other
 * addresses did: strangers who fill the count of a workspace keep nobody out who was there before.
 */
export interface Attempts {
  /**
   * Takes one attempt before it is made. Undefined: go on, and say afterwards how it went by `giveBack`
   * or `failed`. Rejects when the database does.
   */
  take(address: string, aim?: Aim): Promise<Wait | undefined>;
  /** It succeeded: it does not count. */
  giveBack(address: string, aim?: Aim): void;
  /** It failed: it counts everywhere. Never rejects. */
  failed(address: string, aim?: Aim): Promise<void>;
  /** What was counted as failed turned out well. Never rejects. */
  forgive(address: string): Promise<void>;
  /** Somebody signed in from there. Never rejects. */
  remember(address: string): Promise<void>;
  /** Removes what no longer counts. */
  sweep(): Promise<void>;
}

export function sharedAttempts(options: {
  readonly db: Kysely<Tables>;
  readonly now: () => number;
}): Attempts {
  const { db, now } = options;
  const count = (attempts: number, refillMs: number, keys: number) =>
    failureCount({
      db,
      own: new AttemptLimit({ attempts, refillMs, keys, now }),
      attempts,
      refillMs,
      now,
    });
  const byAddress = count(
    AUTH_LIMITS.attempts,
    AUTH_LIMITS.attemptRefillMs,
    AUTH_LIMITS.attemptAddresses,
  );
  const byAim = count(AUTH_LIMITS.aimAttempts, AUTH_LIMITS.aimRefillMs, AUTH_LIMITS.attemptAims);
  const known = knownAddresses(db, now);

  return {
    async take(address, aim) {
      const from = addressGroup(address);
      const wait = await byAddress.take(from);
      if (wait > 0) return { seconds: wait, counted: 'address' };
      if (aim === undefined) return undefined;
      try {
        const seconds = await byAim.take(aim);
        if (seconds === 0) return undefined;
        if (await known.has(from)) {
          byAim.owe(aim);
          return undefined;
        }
        byAddress.giveBack(from);
        return { seconds, counted: 'aim' };
      } catch (error) {
        byAddress.giveBack(from);
        throw error;
      }
    },

    giveBack(address, aim) {
      byAddress.giveBack(addressGroup(address));
      if (aim !== undefined) byAim.giveBack(aim);
    },

    async failed(address, aim) {
      await byAddress.failed(addressGroup(address));
      if (aim !== undefined) await byAim.failed(aim);
    },

    forgive: (address) => byAddress.forgive(addressGroup(address)),
    remember: (address) => known.remember(addressGroup(address)),

    async sweep() {
      await db.deleteFrom('failed_attempts').where('forgiven_at', '<=', now()).execute();
      await known.sweep();
    },
  };
}
