import type { Kysely } from 'kysely';
import { RelayError } from '../errors.ts';
import { AUTH_LIMITS } from './limits.ts';
import type { Principal } from './principal.ts';
import { hashSecret, isSecret, newSecret } from './secrets.ts';
import type { AuthTables } from './tables.ts';
import { newUserCode } from './user-code.ts';
import { principalOf } from './users.ts';

/** A sign-in that waits for a decision, as the page shows it. Times are ms since the epoch. */
export interface PendingApproval {
  readonly address: string;
  /** As the person typed it: it may not exist. Undefined: none was named. */
  readonly workspace: string | undefined;
  readonly userCode: string;
  readonly createdAt: number;
  readonly expiresAt: number;
}

export type ApprovalOutcome =
  | { readonly kind: 'approved'; readonly principal: Principal }
  | { readonly kind: 'denied' }
  /** Nobody decided in time, or the code was never good or is used up. */
  | { readonly kind: 'expired' };

/**
 * "Open this link to approve": somebody signs in where there is no browser, and
 * a person who is signed in in one says yes. Valid for 2 minutes, decided once,
 * redeemed once.
 */
export interface Approvals {
  /**
   * `code` is the secret of the link, `userCode` what people compare on both screens. Rejects with
   * RelayError `too-many-requests` when 1,000 wait already.
   */
  create(asked: {
    address: string;
    workspace?: string | undefined;
  }): Promise<{ readonly code: string; readonly userCode: string; readonly expiresAt: number }>;
  /**
   * Resolves once it is decided or too late, and uses the code up. Rejects with the signal's reason; the link
   * is dead then.
   */
  wait(code: string, signal: AbortSignal): Promise<ApprovalOutcome>;
  /** What a link asks for. Undefined: malformed, unknown, decided or expired. */
  show(code: string): Promise<PendingApproval | undefined>;
  /** Undefined: as for `show`. */
  approve(code: string, principal: Principal): Promise<PendingApproval | undefined>;
  deny(code: string, principal: Principal): Promise<PendingApproval | undefined>;
}

export function createApprovals(
  db: Kysely<AuthTables>,
  now: () => number,
  /** ms between looks into the database: another relay may have served the page. */
  pollMs: number = AUTH_LIMITS.approvalPollMs,
): Approvals {
  /** Wakes the one who waits for a code, by its hash. */
  const waiting = new Map<string, () => void>();

  /** Takes the row away once it is decided or too late: of two who wait, one gets it. Undefined: not yet. */
  async function redeem(hash: string): Promise<ApprovalOutcome | undefined> {
    const there = await db
      .selectFrom('ssh_approvals')
      .select(['decision', 'expires_at'])
      .where('code_hash', '=', hash)
      .executeTakeFirst();
    if (there?.decision === null && Number(there.expires_at) > now()) return undefined;
    const row = await db
      .deleteFrom('ssh_approvals')
      .where('code_hash', '=', hash)
      .returningAll()
      .executeTakeFirst();
    if (row === undefined || row.decision === null) return { kind: 'expired' };
    if (row.decision !== 'approved' || row.user_id === null) return { kind: 'denied' };
    if (Number(row.expires_at) <= now()) return { kind: 'expired' };
    const user = await db
      .selectFrom('users')
      .selectAll()
      .where('id', '=', row.user_id)
      .executeTakeFirst();
    return user === undefined
      ? { kind: 'expired' }
      : { kind: 'approved', principal: principalOf(user) };
  }

  async function pending(hash: string): Promise<PendingApproval | undefined> {
    const row = await db
      .selectFrom('ssh_approvals')
      .selectAll()
      .where('code_hash', '=', hash)
      .where('decision', 'is', null)
      .where('expires_at', '>', now())
      .executeTakeFirst();
    return row && viewOf(row);
  }

  const remove = (hash: string): Promise<unknown> =>
    db.deleteFrom('ssh_approvals').where('code_hash', '=', hash).execute();

  async function decide(
    code: string,
    principal: Principal,
    decision: 'approved' | 'denied',
  ): Promise<PendingApproval | undefined> {
    if (!isSecret(code)) return undefined;
    const hash = hashSecret(code);
    const row = await db
      .updateTable('ssh_approvals')
      .set({ decision, user_id: principal.userId })
      .where('code_hash', '=', hash)
      .where('decision', 'is', null)
      .where('expires_at', '>', now())
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) return undefined;
    waiting.get(hash)?.();
    return viewOf(row);
  }

  /** Until the next look, or until `waiting` is called for that hash. Rejects with the signal's reason. */
  function pause(hash: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        waiting.delete(hash);
        signal.removeEventListener('abort', aborted);
        settle();
      };
      const aborted = (): void => end(() => reject(signal.reason as Error));
      const timer = setTimeout(() => end(resolve), pollMs);
      waiting.set(hash, () => end(resolve));
      signal.addEventListener('abort', aborted);
      if (signal.aborted) aborted();
    });
  }

  return {
    async create({ address, workspace }) {
      const { count } = await db
        .selectFrom('ssh_approvals')
        .select((row) => row.fn.countAll<number | string>().as('count'))
        .where('expires_at', '>', now())
        .executeTakeFirstOrThrow();
      if (Number(count) >= AUTH_LIMITS.approvals) {
        throw new RelayError(
          'too-many-requests',
          'Too many sign-ins wait for an approval. Try again in a minute, or use a key.',
          { blame: 'policy', retryAfter: 60 },
        );
      }
      const code = newSecret();
      const userCode = newUserCode();
      const expiresAt = now() + AUTH_LIMITS.approvalMs;
      await db
        .insertInto('ssh_approvals')
        .values({
          code_hash: hashSecret(code),
          user_code: userCode,
          address,
          workspace: workspace?.slice(0, 100) ?? null,
          created_at: now(),
          expires_at: expiresAt,
          decision: null,
          user_id: null,
        })
        .execute();
      return { code, userCode, expiresAt };
    },

    async wait(code, signal) {
      if (!isSecret(code)) return { kind: 'expired' };
      const hash = hashSecret(code);
      try {
        for (;;) {
          signal.throwIfAborted();
          // Begun before the look, so that a decision between the two is not slept through.
          const pauseOver = pause(hash, signal);
          pauseOver.catch(() => {});
          const outcome = await redeem(hash);
          if (outcome !== undefined) return outcome;
          await pauseOver;
        }
      } finally {
        waiting.get(hash)?.();
        if (signal.aborted) await remove(hash);
      }
    },

    show: async (code) => (isSecret(code) ? pending(hashSecret(code)) : undefined),
    approve: (code, principal) => decide(code, principal, 'approved'),
    deny: (code, principal) => decide(code, principal, 'denied'),
  };
}

function viewOf(row: AuthTables['ssh_approvals']): PendingApproval {
  return {
    address: row.address,
    workspace: row.workspace ?? undefined,
    userCode: row.user_code,
    createdAt: Number(row.created_at),
    expiresAt: Number(row.expires_at),
  };
}
