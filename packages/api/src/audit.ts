import { z } from 'zod';

/** Everything that is written down. Programs may rely on these names; new ones may come. */
export const AUDIT_ACTIONS = [
  'ssh.sign-in',
  'ssh.sign-in-refused',
  'ssh.session-opened',
  'ssh.session-closed',
  /** Ended by the relay: a key, token, workspace or right was taken away. */
  'ssh.session-cut',
  /** The command line reaches a TCP port; once for each of its links and each port. */
  'port.forwarded',
  /** One that was open is closed by the relay: a token, workspace or right was taken away. */
  'port.cut',
  /** A workload reports another SSH host key than before. */
  'ssh.host-key-changed',
  'ssh.certificate-issued',
  /** Keyboard-interactive: the link was opened and approved, or denied. */
  'ssh.approved',
  'ssh.approval-denied',
  'key.added',
  'key.removed',
  'token.created',
  'token.revoked',
  'workspace.created',
  'workspace.terminated',
  'workspace.agent-token-replaced',
  /** An administrator began to watch a channel's frames. */
  'channel.traced',
] as const;

export const auditActionSchema = z.enum(AUDIT_ACTIONS);
export const auditOutcomeSchema = z.enum(['ok', 'refused', 'failed']);

/** The most that one answer lists. */
export const MAX_AUDIT_PAGE = 200;

/** Without an id of its own: OpenAPI lists each parameter. */
export const auditQuerySchema = z.strictObject({
  action: auditActionSchema.optional(),
  /** A username. */
  user: z.string().max(100).optional(),
  /** A workspace's name. */
  workspace: z.string().max(100).optional(),
  /** `next` of the answer before. */
  cursor: z
    .string()
    .regex(/^[0-9a-f]{28}$/, 'must be the "next" of an answer')
    .optional(),
  limit: z.coerce.number<string | number>().int().min(1).max(MAX_AUDIT_PAGE).default(50),
});

export const auditEventSchema = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    action: auditActionSchema,
    outcome: auditOutcomeSchema,
    /** Null: nobody is known, a sign-in that was refused for instance. */
    userId: z.string().nullable(),
    username: z.string().nullable(),
    workspace: z.string().nullable(),
    /** IP address of the client. */
    address: z.string().nullable(),
    /** Tells SSH connections apart. */
    channel: z.string().nullable(),
    detail: z.string(),
  })
  .meta({ id: 'AuditEvent' });

export const auditEventListSchema = z
  .object({
    /** Newest first. */
    events: z.array(auditEventSchema),
    /** Pass it as `cursor` for older ones. Null: these were the last. */
    next: z.string().nullable(),
  })
  .meta({ id: 'AuditEventList' });

export type AuditAction = z.infer<typeof auditActionSchema>;
export type AuditOutcome = z.infer<typeof auditOutcomeSchema>;
export type AuditQuery = z.infer<typeof auditQuerySchema>;
export type AuditQueryInput = z.input<typeof auditQuerySchema>;
export type AuditEventView = z.infer<typeof auditEventSchema>;
export type AuditEventList = z.infer<typeof auditEventListSchema>;
