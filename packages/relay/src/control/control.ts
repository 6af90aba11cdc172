import type { Cluster, Workspace } from '@burrow/api';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import type { Audit } from '../audit/audit.ts';
import type { Principal } from '../auth/principal.ts';
import { ChangeFeed, POLL_EVERY_MS } from '../changes/feed.ts';
import type { Database } from '../db/database.ts';
import type { Driver } from '../drivers/driver.ts';
import type { Presence } from '../routing/router.ts';
import { NO_CHANNELS } from '../trace/no-channels.ts';
import { AgentActivity, FLUSH_EVERY_MS } from './agent-activity.ts';
import { agentDirectory } from './agents.ts';
import { buildApp } from './app.ts';
import { SYSTEM_CLOCK, type Clock } from './clock.ts';
import type { ControlConfig, ControlContext, ControlLogger } from './context.ts';
import type { AgentDirectory, WorkspaceDirectory } from './directory.ts';
import { beat, BEAT_EVERY_MS } from './lease.ts';
import { LocalWorkloads } from './local-workloads.ts';
import { PURGE_EVERY_MS, purge } from './purge.ts';
import type { Authenticate } from './require-principal.ts';
import { Revocations } from './revocations.ts';
import type { Credentials } from './routes.ts';
import { SshMemory } from './ssh/facts.ts';
import type { UserCa } from './ssh/user-ca.ts';
import { Ticker } from './ticker.ts';
import { WorkspaceCache } from './workspace-cache.ts';
import { ensureWorkspace, type EnsureWorkspace } from './workspaces/ensure.ts';
import { listWorkspaces } from './workspaces/list.ts';
import { showWorkspace } from './workspaces/show.ts';

const DAY_MS = 86_400_000;

export interface ControlOptions {
  readonly database: Pick<Database, 'kysely'>;
  /** Shared with the other rooms; polled from here. */
  readonly changes?: ChangeFeed;
  /** No other relay is on this database (default). */
  readonly alone?: boolean;
  readonly clock?: Clock;
  readonly drivers: readonly Driver[];
  readonly config: ControlConfig;
  /** Who sends a request to the control host. */
  readonly authenticate: Authenticate;
  readonly credentials: Credentials;
  readonly audit: Pick<Audit, 'record'>;
  readonly userCa: UserCa;
  /** More routes of the control host: signing in, the dashboard. */
  readonly plugins?: (parts: ControlParts) => readonly FastifyPluginAsync[];
  /** What this relay's links know of an agent. */
  readonly presence: (agentId: string) => Presence | undefined;
  /** The relays as they are now; default: none are known. */
  readonly cluster?: () => Promise<Cluster>;
  /** Who looks at channels; default: there are none. */
  readonly tracing?: ControlContext['tracing'];
  readonly logger: ControlLogger;
}

/** What other routes of the control host may use. */
export interface ControlParts {
  readonly workspaces: WorkspaceDirectory;
  /** The person's living workspaces; an admin's are everybody's. */
  listWorkspaces(principal: Principal): Promise<readonly Workspace[]>;
}

export interface Control extends ControlParts {
  /** Ready, listening nowhere. */
  readonly app: FastifyInstance;
  readonly agents: AgentDirectory;
  /** Accounts for downtime, begins the timers, and starts the local workspaces in the background. */
  start(): Promise<void>;
  /** Ends workloads, timers and the app, and writes what is left. The database stays open. Idempotent. */
  stop(): Promise<void>;
  ensureWorkspace(principal: Principal, wanted: EnsureWorkspace): Promise<Workspace>;
  showWorkspace(principal: Principal, name: string): Promise<Workspace>;
  /** What the agent said of SSH when it last connected, to any relay. */
  sshOf(agentId: string): ReturnType<SshMemory['of']>;
}

export async function createControl(options: ControlOptions): Promise<Control> {
  const { config, logger, presence } = options;
  const db = options.database.kysely;
  const clock = options.clock ?? SYSTEM_CLOCK;
  const leaseMs = config.leaseMs ?? DAY_MS;
  const drivers = new Map(options.drivers.map((driver) => [driver.name as string, driver]));

  const activity: AgentActivity = new AgentActivity(db, (agentId) => cache.seen(agentId));
  const cache = new WorkspaceCache(db, clock, (agentId) => activity.peek(agentId));
  const sshMemory = new SshMemory(db, logger, options.audit);
  const broken = (error: unknown): void =>
    logger.error({ err: error }, 'a listener of revocations failed');
  const changes = options.changes ?? new ChangeFeed(db, broken);
  const revocations = new Revocations(changes, clock, broken);
  revocations.subscribe((agentId) => cache.dropAgent(agentId));
  changes.subscribe(({ kind, subject }) => {
    if (kind === 'workspace') cache.drop(subject);
  });
  const workloads = new LocalWorkloads(
    { db, clock, leaseMs, revocations, changes, config, cache, logger },
    drivers.get('local'),
  );
  const context: ControlContext = {
    db,
    clock,
    config,
    leaseMs,
    drivers,
    changes,
    cache,
    activity,
    sshMemory,
    revocations,
    workloads,
    presence,
    audit: options.audit,
    cluster: options.cluster ?? (async () => ({ relays: [], problem: null })),
    tracing: options.tracing ?? NO_CHANNELS,
    userCa: options.userCa,
    logger,
  };
  const parts: ControlParts = {
    workspaces: cache,
    listWorkspaces: async (principal) => (await listWorkspaces(context, principal)).workspaces,
  };
  const app = await buildApp({
    context,
    authenticate: options.authenticate,
    credentials: options.credentials,
    plugins: options.plugins?.(parts) ?? [],
  });

  const ticker = (everyMs: number, what: string, task: () => Promise<void>): Ticker =>
    new Ticker(everyMs, task, (error) => logger.warn({ err: error }, `${what} failed`));
  const heartbeat = async (): Promise<void> => {
    const gapMs = await beat(db, clock);
    if (gapMs !== 0) logger.info({ gapMs }, 'leases moved by the time no relay was running');
  };
  let behind = false;
  async function lookForChanges(): Promise<void> {
    revocations.repeat();
    try {
      await changes.poll();
      behind = false;
    } catch (error) {
      // Four times a second: of a database that is away the log is told once.
      if (behind) return;
      behind = true;
      throw error;
    }
  }
  const tickers = [
    ticker(BEAT_EVERY_MS, 'the heartbeat', heartbeat),
    ticker(POLL_EVERY_MS, 'looking for what other relays changed', lookForChanges),
    ticker(FLUSH_EVERY_MS, 'recording agents', () => activity.flush()),
    ticker(FLUSH_EVERY_MS, 'recording SSH host keys', () => sshMemory.flush()),
    ticker(PURGE_EVERY_MS, 'clearing old rows', async () => {
      await purge(db, clock);
      await changes.purge(clock.now());
    }),
  ];

  let stopping: Promise<void> | undefined;
  async function stop(): Promise<void> {
    await app.close();
    await workloads.stopAll();
    await Promise.all(tickers.map((each) => each.stop()));
    try {
      await activity.flush();
      await sshMemory.flush();
      await beat(db, clock);
    } catch (error) {
      logger.warn({ err: error }, 'the last records could not be written');
    }
  }

  return {
    ...parts,
    app,
    agents: agentDirectory(context),
    async start() {
      await heartbeat();
      await purge(db, clock);
      await changes.prime();
      if (options.alone ?? true) {
        // Nobody is connected to a relay that just starts, whatever a crash left behind.
        await db
          .updateTable('tunnel_agents')
          .set({ connected_since: null })
          .where('connected_since', 'is not', null)
          .execute();
      }
      for (const each of tickers) each.start();
      await workloads.startAll();
    },
    stop: () => (stopping ??= stop()),
    ensureWorkspace: (principal, wanted) => ensureWorkspace(context, principal, wanted),
    showWorkspace: (principal, name) => showWorkspace(context, principal, name),
    sshOf: (agentId) => sshMemory.of(agentId),
  };
}
