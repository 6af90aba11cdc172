import { generateHostKey, parseHostKey, type HostKey } from '@burrow/ssh';
import type { Kysely } from 'kysely';
import { recordChange } from '../changes/record.ts';
import type { Tables } from '../db/tables.ts';
import { RelayError } from '../errors.ts';
import type { Sealer } from './seal.ts';
import type { ClusterKeysRow, KeyPurpose } from './tables.ts';

/** The keys of one purpose. */
export interface KeySet {
  /** In use. */
  readonly current: HostKey;
  /** Made known beside it, to take its place. */
  readonly next: HostKey | undefined;
}

export interface ListedKey {
  readonly purpose: KeyPurpose;
  readonly slot: ClusterKeysRow['slot'];
  readonly fingerprint: string;
  readonly publicLine: string;
  /** ms since the epoch. */
  readonly createdAt: number;
}

/** Keys that all relays on one database share, encrypted there. All reject with RelayError. */
export interface ClusterKeys {
  /**
   * Made by whoever needs it first. `adopt`: a key to keep instead of a new one, such as that of the
   * single relay which a cluster grew from.
   */
  load(purpose: KeyPurpose, adopt?: () => Promise<HostKey | undefined>): Promise<KeySet>;
  list(): Promise<readonly ListedKey[]>;
  /** Makes the next key. Rejects with `conflict` when there is one already. */
  rotate(purpose: KeyPurpose): Promise<HostKey>;
  /** The next key takes the current one's place, which is deleted. Rejects with `conflict` when there is none. */
  activate(purpose: KeyPurpose): Promise<HostKey>;
  /** Deletes the next key. False: there was none. */
  cancel(purpose: KeyPurpose): Promise<boolean>;
}

export function createClusterKeys(
  db: Kysely<Tables>,
  sealer: Sealer,
  now: () => number = Date.now,
): ClusterKeys {
  const aboutOf = (row: Pick<ClusterKeysRow, 'purpose' | 'public_line'>): string =>
    `${row.purpose} ${row.public_line}`;

  const rowsOf = (purpose: KeyPurpose): Promise<ClusterKeysRow[]> =>
    db.selectFrom('cluster_keys').selectAll().where('purpose', '=', purpose).execute();

  function rowFor(purpose: KeyPurpose, slot: ClusterKeysRow['slot'], key: HostKey): ClusterKeysRow {
    const row = { purpose, slot, public_line: key.publicLine, created_at: now() };
    return { ...row, sealed: sealer.seal(key.privateKey, aboutOf(row)) };
  }

  async function open(row: ClusterKeysRow): Promise<HostKey> {
    const { text, stale } = sealer.open(row.sealed, aboutOf(row));
    if (stale) {
      // Only if nobody was faster: all relays do this once the secret has changed.
      await db
        .updateTable('cluster_keys')
        .set({ sealed: sealer.seal(text, aboutOf(row)) })
        .where('purpose', '=', row.purpose)
        .where('slot', '=', row.slot)
        .where('sealed', '=', row.sealed)
        .execute();
    }
    return parseHostKey(text);
  }

  async function insert(row: ClusterKeysRow): Promise<boolean> {
    const made = await db
      .insertInto('cluster_keys')
      .values(row)
      .onConflict((conflict) => conflict.columns(['purpose', 'slot']).doNothing())
      .returning('slot')
      .execute();
    return made.length > 0;
  }

  return {
    async load(purpose, adopt) {
      let rows = await rowsOf(purpose);
      if (!rows.some((row) => row.slot === 'current')) {
        await insert(rowFor(purpose, 'current', (await adopt?.()) ?? generateHostKey()));
        // Perhaps another relay's: the database decides.
        rows = await rowsOf(purpose);
      }
      const current = rows.find((row) => row.slot === 'current');
      const next = rows.find((row) => row.slot === 'next');
      if (current === undefined) throw conflict(`The key ${purpose} was deleted just now.`);
      return { current: await open(current), next: next && (await open(next)) };
    },

    async list() {
      const rows = await db
        .selectFrom('cluster_keys')
        .selectAll()
        .orderBy('purpose')
        .orderBy('slot')
        .execute();
      return Promise.all(
        rows.map(async (row) => ({
          purpose: row.purpose,
          slot: row.slot,
          fingerprint: (await open(row)).fingerprint,
          publicLine: row.public_line,
          createdAt: Number(row.created_at),
        })),
      );
    },

    async rotate(purpose) {
      const key = generateHostKey();
      await db.transaction().execute(async (trx) => {
        const made = await trx
          .insertInto('cluster_keys')
          .values(rowFor(purpose, 'next', key))
          .onConflict((each) => each.columns(['purpose', 'slot']).doNothing())
          .returning('slot')
          .execute();
        if (made.length === 0) {
          throw conflict(
            `There is a next key of ${purpose} already: activate it, or cancel it first.`,
          );
        }
        await recordChange(trx, now(), { kind: 'cluster-key', subject: purpose });
      });
      return key;
    },

    async activate(purpose) {
      const row = await db.transaction().execute(async (trx) => {
        const next = await trx
          .selectFrom('cluster_keys')
          .selectAll()
          .where('purpose', '=', purpose)
          .where('slot', '=', 'next')
          .executeTakeFirst();
        if (next === undefined) {
          throw conflict(`There is no next key of ${purpose}: make one with rotate first.`);
        }
        await trx
          .deleteFrom('cluster_keys')
          .where('purpose', '=', purpose)
          .where('slot', '=', 'current')
          .execute();
        await trx
          .updateTable('cluster_keys')
          .set({ slot: 'current' })
          .where('purpose', '=', purpose)
          .where('slot', '=', 'next')
          .execute();
        await recordChange(trx, now(), { kind: 'cluster-key', subject: purpose });
        return next;
      });
      return open({ ...row, slot: 'current' });
    },

    async cancel(purpose) {
      return db.transaction().execute(async (trx) => {
        const gone = await trx
          .deleteFrom('cluster_keys')
          .where('purpose', '=', purpose)
          .where('slot', '=', 'next')
          .returning('slot')
          .execute();
        if (gone.length > 0)
          await recordChange(trx, now(), { kind: 'cluster-key', subject: purpose });
        return gone.length > 0;
      });
    },
  };
}

function conflict(message: string): RelayError {
  return new RelayError('conflict', message, { blame: 'client' });
}
