import { z } from 'zod';

const count = z.int().nonnegative();

/** Who opened a channel: a request's connection, an upgraded one, the SSH gateway, or a program of a person (`burrow ssh`). */
export const channelKindSchema = z.enum(['http', 'websocket', 'ssh', 'client']);
export const channelStateSchema = z.enum(['opening', 'open', 'half-closed', 'detached']);

export const channelSchema = z
  .object({
    /** 32 hex digits. Any prefix that no other channel has names it too. */
    id: z.string(),
    /** Null: it is not known (any more). */
    workspace: z.string().nullable(),
    /** On whose behalf. */
    user: z.string(),
    /** Null: only the home relay answers, which does not know. */
    kind: channelKindSchema.nullable(),
    /** `tcp 3000`, `ssh`, `terminal`, `unix`. Null: not known since it was resumed. */
    target: z.string().nullable(),
    /** The relay where the user's connection enters. Null: it does not answer, or lost it. */
    edge: z.string().nullable(),
    /** The relay where the agent's link ends. Null: it is looked for, or does not answer. */
    home: z.string().nullable(),
    ageSeconds: count,
    bytesToWorkload: count,
    bytesToUser: count,
    state: channelStateSchema,
    /** Its epoch: ways to the agent so far, 1 and one more each time it was resumed. */
    attachments: count,
  })
  .meta({ id: 'Channel' });

/** The most that one answer lists. */
export const MAX_CHANNELS_PAGE = 1_000;
export const channelIdSchema = z
  .string()
  .regex(/^[0-9a-f]{4,32}$/, 'must be 4 to 32 hex digits, as “burrow cluster channels” shows them');

export const channelQuerySchema = z.strictObject({
  /** A workspace's name. */
  workspace: z.string().max(100).optional(),
  /** A relay's id: only channels that enter or leave the cluster there. */
  relay: z.string().max(200).optional(),
  limit: z.coerce.number<string | number>().int().min(1).max(MAX_CHANNELS_PAGE).default(200),
});

export const channelListSchema = z
  .object({
    channels: z.array(channelSchema),
    /** There are more than these. */
    more: z.boolean(),
    /** Relays that did not answer, with the reason: what they carry may be missing. */
    problems: z.array(z.object({ relay: z.string(), problem: z.string() })),
  })
  .meta({ id: 'ChannelList' });

export type Channel = z.infer<typeof channelSchema>;
export type ChannelKind = z.infer<typeof channelKindSchema>;
export type ChannelState = z.infer<typeof channelStateSchema>;
export type ChannelList = z.infer<typeof channelListSchema>;
export type ChannelQuery = z.infer<typeof channelQuerySchema>;
export type ChannelQueryInput = z.input<typeof channelQuerySchema>;
