import { z } from 'zod';

/** The authority that a real sshd beside a workload trusts. */
export const userCaSchema = z
  .object({
    /** The key in use, one line, `ssh-ed25519 AAAA…`. */
    publicKey: z.string(),
    /**
     * The lines of the file that TrustedUserCAKeys names: the key in use, and the next one while it is being
     * replaced. Absent: the relay is older than this, and has one key only.
     */
    publicKeys: z.array(z.string()).optional(),
    /** `SHA256:…` */
    fingerprint: z.string(),
  })
  .meta({ id: 'UserCa' });

export const createSshCertificateSchema = z
  .strictObject({
    /** The key to certify: the one line of a `.pub` file. Its private half never leaves you. */
    publicKey: z.string().max(16_384),
  })
  .meta({ id: 'CreateSshCertificate' });

export const sshCertificateSchema = z
  .object({
    /** One line; ssh reads it from `<key>-cert.pub` beside the private key. */
    certificate: z.string(),
    /** The account that it opens. */
    principal: z.string(),
    /** In decimal, as `ssh-keygen -L` and the log of sshd show it. */
    serial: z.string(),
    expiresAt: z.iso.datetime(),
  })
  .meta({ id: 'SshCertificate' });

export type UserCa = z.infer<typeof userCaSchema>;
export type CreateSshCertificate = z.infer<typeof createSshCertificateSchema>;
export type SshCertificate = z.infer<typeof sshCertificateSchema>;
