import { z } from 'zod';
import { portNumberSchema, portSettingsSchema } from './port.ts';

/** A letter first, so that `<port>-<name>` cannot be mistaken; at most 34, so that it fits a DNS label. */
export const WORKSPACE_NAME = /^[a-z]([a-z0-9-]{0,32}[a-z0-9])?$/;

export const workspaceNameSchema = z
  .string()
  .regex(
    WORKSPACE_NAME,
    'must be 1 to 34 lower-case letters, digits and dashes, starting with a letter and not ending with a dash',
  )
  // Browsers take such a label for an encoded international name.
  .refine((name) => !name.startsWith('xn--'), 'must not start with "xn--"')
  // `ssh burrow@relay` is the relay itself.
  .refine((name) => name !== 'burrow', 'must not be "burrow", which is the relay itself');

/** `external`: you start the agent; `local`: the relay runs the editor and agent on its own machine. */
export const driverSchema = z.enum(['external', 'local']);

export const workspaceStateSchema = z.enum([
  /** Its agent has not connected yet. */
  'starting',
  /** Its agent is connected. */
  'running',
  /** Its agent was connected and is gone; it may come back. */
  'disconnected',
  'stopped',
  /** It could not be started, or ended by itself; `stateReason` says why. */
  'failed',
]);

export const MAX_PORTS = 100;

export const createWorkspaceSchema = z
  .strictObject({
    /** Made up when left out. */
    name: workspaceNameSchema.optional(),
    driver: driverSchema,
    /** The port that the workspace's own host name leads to. Default 60001, as in GitLab workspaces; `local` picks its own. */
    editorPort: portNumberSchema.optional(),
    ports: z
      .array(portSettingsSchema.extend({ port: portNumberSchema }))
      .max(MAX_PORTS)
      .refine(
        (ports) => new Set(ports.map((each) => each.port)).size === ports.length,
        'names a port twice',
      )
      .optional(),
  })
  .meta({ id: 'CreateWorkspace' });

const time = z.iso.datetime();

export const workspaceSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    /** Where its editor opens. */
    url: z.string(),
    state: workspaceStateSchema,
    stateReason: z.string().optional(),
    driver: driverSchema,
    editorPort: z.int(),
    createdAt: time,
    /** Null: its agent has never connected. */
    agent: z
      .object({
        /** Null: it is not connected now. */
        connectedSince: time.nullable(),
        lastSeen: time,
        /** Links that this relay holds. */
        links: z.int(),
        /** What the agent saw listening on the workload's loopback when it connected. */
        listeningPorts: z.array(z.int()),
        software: z.string().nullable(),
      })
      .nullable(),
    /** The SSH server beside the workload, as its agent reported it last: known also while the agent is away. */
    ssh: z.object({
      server: z.enum(['none', 'built-in', 'sshd']),
      /** One line, `ssh-ed25519 AAAA…`. Null: none was reported yet. */
      hostKey: z.string().nullable(),
      /** Whom a real sshd runs sessions as. Null: sessions run as the agent's own user. */
      user: z.string().nullable(),
    }),
  })
  .meta({ id: 'Workspace' });

/** What the agent beside the workload is started with. */
export const environmentSchema = z
  .object({
    BURROW_RELAY_URL: z.string(),
    /** Secret; shown once. */
    BURROW_AGENT_TOKEN: z.string(),
  })
  .meta({ id: 'AgentEnvironment' });

export const createdWorkspaceSchema = workspaceSchema
  .extend({
    /** Only for driver `external`: `local` starts its agent itself. */
    environment: environmentSchema.optional(),
  })
  .meta({ id: 'CreatedWorkspace' });

export const workspaceListSchema = z
  .object({ workspaces: z.array(workspaceSchema) })
  .meta({ id: 'WorkspaceList' });

export const agentTokenSchema = z
  .object({ environment: environmentSchema })
  .meta({ id: 'AgentToken' });

export type Workspace = z.infer<typeof workspaceSchema>;
export type WorkspaceState = z.infer<typeof workspaceStateSchema>;
export type CreatedWorkspace = z.infer<typeof createdWorkspaceSchema>;
export type WorkspaceList = z.infer<typeof workspaceListSchema>;
export type AgentEnvironment = z.infer<typeof environmentSchema>;
export type AgentToken = z.infer<typeof agentTokenSchema>;
export type CreateWorkspace = z.infer<typeof createWorkspaceSchema>;
export type CreateWorkspaceInput = z.input<typeof createWorkspaceSchema>;
