import { z } from 'zod';

const count = z.int().nonnegative();
const text = z.string().max(2_000);

/** Where it happened, by that relay's clock. */
const where = { at: z.iso.datetime(), relay: text };
/** A link of that relay, and what is at its other end: `agent`, `client`, `ssh-gateway` or `relay <id>`. */
const onLink = { ...where, link: text, with: text };

const attachmentSchema = z.object({
  link: text,
  with: text,
  epoch: count,
  state: text,
  bytesToWorkload: count,
  bytesToUser: count,
});

export const TRACED_FRAMES = [
  'Open',
  'Opened',
  'Data',
  'Credit',
  'Fin',
  'Reset',
  'Resume',
  'Resumed',
  'Detached',
] as const;

/** One line of `GET /cluster/channels/{id}/trace`. Bytes and offsets count from 0 in each direction; no line holds content. */
export const traceEventSchema = z
  .discriminatedUnion('event', [
    /** A relay begins to tell: what it has of the channel now. */
    z.object({
      event: z.literal('watching'),
      ...where,
      /** The whole id of the channel. */
      channel: text,
      attachments: z.array(attachmentSchema),
    }),
    /** The channel takes a link. */
    z.object({ event: z.literal('attached'), ...onLink, epoch: count }),
    /** It has left a link; `code` is null when both directions ended in order, or it moves by itself. */
    z.object({ event: z.literal('detached'), ...onLink, code: text.nullable(), reason: text }),
    z.object({
      event: z.literal('frame'),
      ...onLink,
      direction: z.enum(['sent', 'received']),
      frame: z.enum(TRACED_FRAMES),
      offset: count.optional(),
      length: count.optional(),
      acked: count.optional(),
      limit: count.optional(),
      received: count.optional(),
      epoch: count.optional(),
      ended: z.boolean().optional(),
      code: text.optional(),
      reason: text.optional(),
      /** Of Data: so many of its bytes passed here before. Of Resume and Resumed: so many will pass once more. */
      replayed: count.optional(),
    }),
    /** So many events came faster than they could be told. */
    z.object({ event: z.literal('lost'), ...where, count }),
    /** A relay tells nothing any more; it is asked again. */
    z.object({ event: z.literal('away'), ...where, reason: text }),
    /** Its Open never arrived, and was sent again under this id: it is traced on. */
    z.object({ event: z.literal('renamed'), ...where, id: text }),
    /** The channel has ended; `code` is null: in order. The last line. */
    z.object({ event: z.literal('over'), ...where, code: text.nullable(), reason: text }),
    /**
     * The trace has ended, and the channel has perhaps not. The last line. `draining`: ask again, another relay will answer.
     * `access-lost`; `gone`: no relay has had the channel for a while.
     */
    z.object({
      event: z.literal('end'),
      ...where,
      code: z.enum(['draining', 'access-lost', 'gone']),
      reason: text,
    }),
  ])
  .meta({ id: 'TraceEvent' });

export const traceQuerySchema = z.strictObject({
  /** `false`: everything but Data and Credit. */
  data: z.enum(['true', 'false']).default('true'),
});

export type TraceEvent = z.infer<typeof traceEventSchema>;
export type TracedFrame = (typeof TRACED_FRAMES)[number];
