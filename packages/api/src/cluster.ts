import { z } from 'zod';

const count = z.int().nonnegative();

/** What a relay says of itself. */
export const relayStatsSchema = z
  .object({
    /** How people reach it. */
    url: z.string(),
    uptimeSeconds: count,
    state: z.enum(['starting', 'ready', 'draining']),
    /** Agents with a link that ends at this relay. */
    agents: count,
    /** Their links. */
    links: count,
    /** Open channels on them. */
    channels: count,
    /** Links from other relays (`in`) and to them (`out`). */
    peerLinks: z.object({ in: count, out: count }),
    /** Null: it does not drain. */
    drain: z
      .object({
        /** Connections and requests that are still under way. */
        busy: count,
        /** When it cuts what is left. */
        secondsLeft: count,
      })
      .nullable(),
  })
  .meta({ id: 'RelayStats' });

export const clusterRelaySchema = z
  .object({
    id: z.string(),
    /** One run of the process, 32 hex digits. */
    incarnation: z.string(),
    version: z.string(),
    /** The relay that answers this request. */
    self: z.boolean(),
    /** Null: it does not answer; `problem` says why. */
    stats: relayStatsSchema.nullable(),
    problem: z.string().nullable(),
  })
  .meta({ id: 'ClusterRelay' });

export const clusterSchema = z
  .object({
    /** By id; a relay that stands alone lists itself. */
    relays: z.array(clusterRelaySchema),
    /** Null: all is well. Else why other relays may be missing. */
    problem: z.string().nullable(),
  })
  .meta({ id: 'Cluster' });

export type RelayStats = z.infer<typeof relayStatsSchema>;
export type ClusterRelay = z.infer<typeof clusterRelaySchema>;
export type Cluster = z.infer<typeof clusterSchema>;
