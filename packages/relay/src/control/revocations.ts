import type { Kysely, Selectable } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { Clock } from './clock.ts';
import type { RevokedAgentTokensTable } from './tables.ts';

export type Revocation = Selectable<RevokedAgentTokensTable>;

/** How often other relays' revocations are looked for, ms. */
export const POLL_EVERY_MS = 500;
/** How far back each poll looks, ms: bridges clocks that differ between relays. */
const LOOK_BACK_MS = 60_000;
/** A terminated agent is announced again this long, ms, for a link that was just being accepted. */
const REPEAT_MS = 3_000;

const SENTENCES: Readonly<Record<Revocation['reason'], string>> = {
  'workspace-terminated': 'its workspace was terminated',
  'token-replaced': 'its token was replaced by a new one',
};

export type RevocationListener = (agentId: string, reason: string) => void;

/** Tells the rooms which agents must be cut off: at once here, by polling for what other relays did. */
export class Revocations {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;
  readonly #listeners = new Set<RevocationListener>();
  readonly #onListenerError: (error: unknown) => void;
  /** Hash of each token announced within the look-back, and when it was first. */
  readonly #seen = new Map<string, number>();

  constructor(db: Kysely<Tables>, clock: Clock, onListenerError: (error: unknown) => void) {
    this.#db = db;
    this.#clock = clock;
    this.#onListenerError = onListenerError;
  }

  subscribe(listener: RevocationListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Synchronous: call it right after the commit. */
  announce(revocation: Pick<Revocation, 'token_hash' | 'agent_id' | 'reason'>): void {
    if (!this.#seen.has(revocation.token_hash)) {
      this.#seen.set(revocation.token_hash, this.#clock.now());
    }
    this.announceAgent(revocation.agent_id, SENTENCES[revocation.reason]);
  }

  announceAgent(agentId: string, reason: string): void {
    for (const listener of this.#listeners) {
      try {
        listener(agentId, reason);
      } catch (error) {
        this.#onListenerError(error);
      }
    }
  }

  /** What happened before this relay started needs no announcement: it has no links yet. */
  async prime(): Promise<void> {
    for (const row of await this.#recent()) this.#seen.set(row.token_hash, -Infinity);
  }

  async poll(): Promise<void> {
    const now = this.#clock.now();
    const rows = await this.#recent();
    for (const row of rows) {
      const first = this.#seen.get(row.token_hash);
      const repeat =
        row.reason === 'workspace-terminated' && first !== undefined && now - first < REPEAT_MS;
      if (first === undefined || repeat) this.announce(row);
    }
    // The rows are the bound: what they no longer hold is not asked about again.
    if (this.#seen.size > rows.length) {
      const recent = new Set(rows.map((row) => row.token_hash));
      for (const [hash, first] of this.#seen) {
        if (!recent.has(hash) && Math.abs(now - first) > LOOK_BACK_MS) this.#seen.delete(hash);
      }
    }
  }

  #recent(): Promise<Revocation[]> {
    return this.#db
      .selectFrom('revoked_agent_tokens')
      .selectAll()
      .where('revoked_at', '>', this.#clock.now() - LOOK_BACK_MS)
      .execute();
  }
}
