import { z } from 'zod';

export const portNumberSchema = z.int().min(1).max(65_535);

/** An origin as browsers send it: `scheme://host[:port]`, nothing after it. */
export const originSchema = z
  .string()
  .max(300)
  .refine(isWebOrigin, 'must be an origin such as https://app.example.com:8080, in lower case');

/** How the app behind one port is reached. Fields left out take their defaults. */
export const portSettingsSchema = z
  .strictObject({
    /** What the app speaks. */
    protocol: z.enum(['http', 'https', 'h2c']).default('http'),
    /** `preserve`: the app sees the public host name; `localhost`: it sees `localhost:<port>`. */
    host: z.enum(['preserve', 'localhost']).default('preserve'),
    /** Other origins that may send credentials here. At most 32. */
    corsOrigins: z.array(originSchema).max(32).default([]),
  })
  .meta({ id: 'PortSettings' });

export const portSchema = z
  .object({
    port: portNumberSchema,
    protocol: z.enum(['http', 'https', 'h2c']),
    host: z.enum(['preserve', 'localhost']),
    corsOrigins: z.array(z.string()),
    /** Where the app is reached. */
    url: z.string(),
  })
  .meta({ id: 'Port' });

export type PortSettings = z.infer<typeof portSettingsSchema>;
export type PortSettingsInput = z.input<typeof portSettingsSchema>;
export type Port = z.infer<typeof portSchema>;

function isWebOrigin(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === text;
}
