import { z } from 'zod';
import type { RelayInfo } from './registry.ts';

/** What a relay writes of itself. */
export interface RelayRecord extends RelayInfo {
  /** µs since the epoch by the clock of the store: of two with one id the later is the newer. */
  readonly startedAt: number;
}

const schema = z.object({
  id: z.string().min(1).max(128),
  incarnation: z.string().regex(/^[0-9a-f]{32}$/),
  peerUrl: z.url({ protocol: /^https?$/ }),
  version: z.string().max(64),
  startedAt: z.number(),
});

export function writeRecord(record: RelayRecord): string {
  return JSON.stringify(record);
}

/** Undefined: absent, or not written by a relay that this one understands. Unknown fields are left out. */
export function readRecord(text: string | null | undefined): RelayRecord | undefined {
  if (text === null || text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Each id once, the newest incarnation of it. */
export function newestById(records: Iterable<RelayRecord>): RelayRecord[] {
  const byId = new Map<string, RelayRecord>();
  for (const record of records) {
    const other = byId.get(record.id);
    if (other === undefined || newer(record, other)) byId.set(record.id, record);
  }
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

export function newer(a: RelayRecord, b: RelayRecord): boolean {
  return a.startedAt === b.startedAt ? a.incarnation > b.incarnation : a.startedAt > b.startedAt;
}
