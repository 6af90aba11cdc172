import { z } from 'zod';

export const userSchema = z
  .object({ id: z.string(), username: z.string(), admin: z.boolean() })
  .meta({ id: 'User' });

/** Days a new personal access token may live. */
export const MAX_TOKEN_DAYS = 366;

export const createTokenSchema = z
  .strictObject({
    /** For you to recognise it by. */
    name: z.string().trim().min(1).max(100),
    expiresInDays: z.int().min(1).max(MAX_TOKEN_DAYS).optional(),
  })
  .meta({ id: 'CreateToken' });

export const tokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    createdAt: z.iso.datetime(),
    /** Null: it lives until it is revoked. */
    expiresAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Token' });

export const createdTokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    /** Secret; shown once. */
    token: z.string(),
    expiresAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'CreatedToken' });

export const tokenListSchema = z.object({ tokens: z.array(tokenSchema) }).meta({ id: 'TokenList' });

export type User = z.infer<typeof userSchema>;
export type CreateToken = z.infer<typeof createTokenSchema>;
export type CreateTokenInput = z.input<typeof createTokenSchema>;
export type Token = z.infer<typeof tokenSchema>;
export type CreatedToken = z.infer<typeof createdTokenSchema>;
export type TokenList = z.infer<typeof tokenListSchema>;
