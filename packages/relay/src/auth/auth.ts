import type { Kysely } from 'kysely';
import { ChangeFeed } from '../changes/feed.ts';
import type { Tables } from '../db/tables.ts';
import { createApprovals, type Approvals } from './approvals.ts';
import { Expiries } from './expiries.ts';
import { AUTH_LIMITS } from './limits.ts';
import { sharedAttempts, type Attempts } from './shared-attempts.ts';
import { createSessions, type Sessions } from './sessions.ts';
import { createSignInCodes, type HandOver, type SignInLinks } from './sign-in-codes.ts';
import { createSshKeys, type SshKeys } from './ssh-keys.ts';
import { createAccessTokens, type AccessTokens } from './tokens.ts';
import { createUsers, type Users } from './users.ts';

export interface AuthOptions {
  /** A database that has the tables of `tables.ts`; it may have others. */
  readonly db: Kysely<Tables>;
  /** ms since the epoch. Default: the system's clock. */
  readonly clock?: { now(): number };
  /** What other relays take away. Default: a relay that stands alone. */
  readonly changes?: ChangeFeed;
}

/** Who people are and how they prove it. Holds no timer and no socket: nothing to stop. */
export interface Auth {
  readonly users: Users;
  readonly tokens: AccessTokens;
  readonly keys: SshKeys;
  readonly approvals: Approvals;
  readonly sessions: Sessions;
  readonly signInLinks: SignInLinks;
  readonly handOver: HandOver;
  readonly attempts: Attempts;
  /**
   * Grows whenever something that was valid no longer is: taken away by this relay, by another one (as
   * soon as `changes` tells of it), or a token or key that this relay has seen used reached its end.
   */
  readonly version: number;
  /** Removes expired rows. Called by itself when codes are made, at most once a minute. */
  sweep(): Promise<void>;
}

export function createAuth(options: AuthOptions): Auth {
  const { db } = options;
  const changes = options.changes ?? new ChangeFeed(db, () => {});
  const clock = options.clock ?? { now: Date.now };
  const now = (): number => clock.now();
  let version = 0;
  let sweptAt = now();
  const changed = (): void => {
    version += 1;
  };

  const expiries = new Expiries(AUTH_LIMITS.cacheEntries);
  const sessions = createSessions(db, now, changed, changes);
  const codes = createSignInCodes(db, now);
  const approvals = createApprovals(db, now);

  const attempts = sharedAttempts({ db, now });

  async function sweep(): Promise<void> {
    sweptAt = now();
    await db.deleteFrom('sign_in_codes').where('expires_at', '<=', sweptAt).execute();
    await db.deleteFrom('ssh_approvals').where('expires_at', '<=', sweptAt).execute();
    await attempts.sweep();
    await db
      .deleteFrom('sessions')
      .where('expires_at', '<=', sweptAt)
      .where('host', 'is not', null)
      .execute();
    await db.deleteFrom('sessions').where('expires_at', '<=', sweptAt).execute();
  }

  async function sweepNowAndThen(): Promise<void> {
    if (now() - sweptAt >= AUTH_LIMITS.sweepMs) await sweep();
  }

  return {
    users: createUsers(db, now),
    tokens: createAccessTokens(db, now, expiries, changed, changes),
    keys: createSshKeys(db, now, expiries, changed, changes),
    approvals: {
      ...approvals,
      async create(asked) {
        await sweepNowAndThen();
        return approvals.create(asked);
      },
    },
    sessions,
    signInLinks: {
      async create(link) {
        await sweepNowAndThen();
        return codes.links.create(link);
      },
      consume: (code) => codes.links.consume(code),
    },
    handOver: {
      async create(code) {
        await sweepNowAndThen();
        return codes.handOver.create(code);
      },
      redeem: (code) => codes.handOver.redeem(code),
    },
    attempts: {
      ...attempts,
      async failed(address, aim) {
        await attempts.failed(address, aim);
        await sweepNowAndThen().catch(() => {});
      },
    },
    get version() {
      if (expiries.passed(now())) changed();
      return version;
    },
    sweep,
  };
}
