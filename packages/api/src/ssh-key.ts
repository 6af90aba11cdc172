import { z } from 'zod';

const time = z.iso.datetime();

export const createSshKeySchema = z
  .strictObject({
    /** For you to recognise it by. */
    title: z.string().trim().min(1).max(200),
    /** The one line of a `.pub` file. */
    key: z.string().max(16_384),
    /** It signs nobody in from then on. Left out: it stays good until it is removed. */
    expiresAt: z.iso.datetime({ offset: true }).optional(),
  })
  .meta({ id: 'CreateSshKey' });

export const sshKeySchema = z
  .object({
    id: z.string(),
    title: z.string(),
    /** `<type> <base64>`, without its comment. */
    key: z.string(),
    /** As `ssh-keygen -l` prints it: `SHA256:…`. */
    fingerprint: z.string(),
    createdAt: time,
    /** Null: it stays good until it is removed. */
    expiresAt: time.nullable(),
    /** To the minute. Null: never. */
    lastUsedAt: time.nullable(),
  })
  .meta({ id: 'SshKey' });

export const sshKeyListSchema = z
  .object({ keys: z.array(sshKeySchema) })
  .meta({ id: 'SshKeyList' });

export type CreateSshKey = z.infer<typeof createSshKeySchema>;
export type CreateSshKeyInput = z.input<typeof createSshKeySchema>;
export type SshKey = z.infer<typeof sshKeySchema>;
export type SshKeyList = z.infer<typeof sshKeyListSchema>;
