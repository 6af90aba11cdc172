import { z } from 'zod';
import { count } from './numbers.ts';

export const database = z
  .strictObject({
    url: z
      .string()
      .refine((text) => URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol), {
        message: 'must be of the form postgres://user:password@host:port/database',
      })
      .optional()
      .meta({
        secret: true,
        description:
          'PostgreSQL, `postgres://user:password@host:5432/database`, shared by the relays of a cluster. `?sslmode=verify-full&sslrootcert=FILE`: with TLS. Without it: SQLite in the data folder, for one relay.',
      }),
    urlFile: z.string().min(1).optional().describe('File that holds the URL, instead of `url`.'),
    maxConnections: count(1, 1_000)
      .default(10)
      .describe(
        'Connections to PostgreSQL that this relay may have. All relays together must stay below PostgreSQL’s `max_connections`.',
      ),
  })
  .refine((value) => value.url === undefined || value.urlFile === undefined, {
    message: 'set url or urlFile, not both',
  });
