import type { Cluster } from '@burrow/api';
import type { Kysely } from 'kysely';
import type { Audit } from '../audit/audit.ts';
import type { ChangeFeed } from '../changes/feed.ts';
import type { Tables } from '../db/tables.ts';
import type { Driver } from '../drivers/driver.ts';
import type { Presence } from '../routing/router.ts';
import type { Tracing } from '../trace/contracts.ts';
import type { AgentActivity } from './agent-activity.ts';
import type { Clock } from './clock.ts';
import type { LocalWorkloads } from './local-workloads.ts';
import type { Revocations } from './revocations.ts';
import type { SshMemory } from './ssh/facts.ts';
import type { UserCa } from './ssh/user-ca.ts';
import type { WorkspaceCache } from './workspace-cache.ts';

/** The part of a pino logger that this room uses. Never given a secret. */
export interface ControlLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface ControlConfig {
  /** Workspaces live at `<name>.<domain>`. */
  readonly domain: string;
  /** How people reach this relay. Read at each use: the port may be known late. */
  readonly publicUrl: URL;
  /** How agents elsewhere reach it; default `publicUrl`. */
  readonly agentUrl?: URL;
  /** How agents on this machine reach it; default `publicUrl`. */
  readonly localRelayUrl?: URL;
  /** How long an agent's token stays good without a link, ms. Default 24 h. */
  readonly leaseMs?: number;
  /** The editor's port of a new external workspace. Default 60001, as in GitLab workspaces. */
  readonly editorPort?: number;
  /** Living workspaces that one person may have. Default 500. */
  readonly maxWorkspaces?: number;
}

/** What every verb works with. */
export interface ControlContext {
  readonly db: Kysely<Tables>;
  readonly clock: Clock;
  readonly config: ControlConfig;
  readonly leaseMs: number;
  readonly drivers: ReadonlyMap<string, Driver>;
  /** Tells other relays what they must forget. */
  readonly changes: ChangeFeed;
  readonly cache: WorkspaceCache;
  readonly activity: AgentActivity;
  readonly sshMemory: SshMemory;
  readonly revocations: Revocations;
  readonly workloads: LocalWorkloads;
  readonly presence: (agentId: string) => Presence | undefined;
  readonly audit: Pick<Audit, 'record'>;
  /** The relays as they are now. Bounded; never rejects for a relay that does not answer. */
  readonly cluster: () => Promise<Cluster>;
  /** Channels, over all relays. */
  readonly tracing: Pick<Tracing, 'list' | 'trace'>;
  readonly userCa: UserCa;
  readonly logger: ControlLogger;
}
