import type { Kysely, Selectable } from 'kysely';
import type { ChangeFeed } from '../changes/feed.ts';
import type { Tables } from '../db/tables.ts';
import type { Clock } from './clock.ts';
import type { RevokedAgentTokensTable } from './tables.ts';

/** An agent that must be cut off, and why. */
export interface Revocation {
  readonly agent_id: string;
  readonly reason: Selectable<RevokedAgentTokensTable>['reason'];
}

/** A terminated agent is announced again this long, ms, for a link that was just being accepted. */
const REPEAT_MS = 3_000;

const SENTENCES: Readonly<Record<Revocation['reason'], string>> = {
  'workspace-terminated': 'its workspace was terminated',
  'token-replaced': 'its token was replaced by a new one',
};

export type RevocationListener = (agentId: string, reason: string) => void;

/** Tells the rooms which agents must be cut off: at once here, and what other relays did as the feed tells. */
export class Revocations {
  readonly #changes: ChangeFeed;
  readonly #clock: Clock;
  readonly #listeners = new Set<RevocationListener>();
  readonly #onListenerError: (error: unknown) => void;
  /** Agents that were terminated a moment ago, and when. */
  readonly #recent = new Map<string, number>();

  constructor(changes: ChangeFeed, clock: Clock, onListenerError: (error: unknown) => void) {
    this.#changes = changes;
    this.#clock = clock;
    this.#onListenerError = onListenerError;
    changes.subscribe(({ kind, subject, reason }) => {
      if (kind !== 'agent') return;
      this.announce({
        agent_id: subject,
        reason: reason === 'token-replaced' ? reason : 'workspace-terminated',
      });
    });
  }

  subscribe(listener: RevocationListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** For the other relays, in the transaction that revokes. */
  record(db: Kysely<Tables>, { agent_id, reason }: Revocation): Promise<void> {
    return this.#changes.record(db, this.#clock.now(), {
      kind: 'agent',
      subject: agent_id,
      reason,
    });
  }

  /** Synchronous: call it right after the commit. */
  announce({ agent_id, reason }: Revocation): void {
    if (reason === 'workspace-terminated') this.#recent.set(agent_id, this.#clock.now());
    this.announceAgent(agent_id, SENTENCES[reason]);
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

  /** Call a few times a second. */
  repeat(): void {
    for (const [agentId, at] of this.#recent) {
      // Either way: clocks jump.
      if (Math.abs(this.#clock.now() - at) >= REPEAT_MS) this.#recent.delete(agentId);
      else this.announceAgent(agentId, SENTENCES['workspace-terminated']);
    }
  }
}
