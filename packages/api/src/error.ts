import { z } from 'zod';

/** Who failed, as told to the user. */
export const blameSchema = z.enum(['client', 'relay', 'agent', 'app', 'policy']);

/** The body of every answer with status 400 or above. */
export const errorSchema = z
  .object({
    error: z.object({
      /** Stable, for programs. `docs/errors.md` lists them. */
      code: z.string(),
      /** A sentence for a person: what happened, who did it, what next. */
      message: z.string(),
      blame: blameSchema,
      /** Quote it to the relay's operator. */
      requestId: z.string(),
      /** Which fields of the request were wrong. */
      details: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    }),
  })
  .meta({ id: 'Error' });

export type ErrorBody = z.infer<typeof errorSchema>;
export type ErrorDetail = NonNullable<ErrorBody['error']['details']>[number];
