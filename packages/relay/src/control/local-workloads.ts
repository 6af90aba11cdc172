import type { Driver } from '../drivers/driver.ts';
import { RelayError } from '../errors.ts';
import type { ControlContext } from './context.ts';
import { proxyUriTemplate } from './urls.ts';
import { replaceAgentToken } from './workspaces/replace-agent-token.ts';

/** Longest a driver may take to start one workload, ms: it may have to install the editor first. */
const START_WITHIN_MS = 15 * 60_000;

type Needs = Pick<
  ControlContext,
  'db' | 'clock' | 'leaseMs' | 'revocations' | 'changes' | 'config' | 'cache' | 'logger'
>;

interface Starting {
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** Workspaces that the relay itself runs: started here, and again whenever the relay starts. */
export class LocalWorkloads {
  readonly #needs: Needs;
  readonly #driver: Driver | undefined;
  readonly #starting = new Map<string, Starting>();
  #stopped = false;

  constructor(needs: Needs, driver: Driver | undefined) {
    this.#needs = needs;
    this.#driver = driver;
  }

  /** In the background; the outcome is the workspace's state. Starting one again restarts it. */
  start(workspace: { id: string; name: string; agentToken?: string }): void {
    if (this.#stopped) return;
    const before = this.#starting.get(workspace.id);
    before?.abort.abort();
    const abort = new AbortController();
    const done = (before?.done ?? Promise.resolve())
      .then(() => this.#run(workspace, abort.signal))
      .finally(() => {
        if (this.#starting.get(workspace.id)?.abort === abort) this.#starting.delete(workspace.id);
      });
    this.#starting.set(workspace.id, { abort, done });
  }

  /** Starts all of them again, each with a fresh token: the old ones died with the last relay. */
  async startAll(): Promise<void> {
    const { db, cache, logger } = this.#needs;
    const rows = await db
      .selectFrom('workspaces')
      .select(['id', 'name'])
      .where('driver', '=', 'local')
      .where('terminated_at', 'is', null)
      .execute();
    if (rows.length > 0 && !this.#driver) {
      logger.warn({ workspaces: rows.length }, 'local workspaces are not started: no local driver');
      return;
    }
    for (const row of rows) {
      await this.#setState(row, 'starting', null);
      cache.drop(row.name);
      this.start(row);
    }
  }

  /** Never rejects: what the driver could not end is logged. */
  async stop(workspaceId: string): Promise<void> {
    const starting = this.#starting.get(workspaceId);
    starting?.abort.abort();
    await starting?.done;
    try {
      await this.#driver?.stop(workspaceId);
    } catch (error) {
      this.#needs.logger.error({ err: error, workspaceId }, 'a local workspace did not stop');
    }
  }

  /** Idempotent. */
  async stopAll(): Promise<void> {
    this.#stopped = true;
    for (const { abort } of this.#starting.values()) abort.abort();
    await Promise.all([...this.#starting.values()].map(({ done }) => done));
    await this.#driver?.stopAll();
  }

  /** Never rejects. */
  async #run(
    workspace: { id: string; name: string; agentToken?: string },
    stop: AbortSignal,
  ): Promise<void> {
    const { db, clock, changes, config, cache, logger } = this.#needs;
    const { id, name } = workspace;
    const bound = AbortSignal.timeout(START_WITHIN_MS);
    try {
      if (!this.#driver || stop.aborted) return;
      const agentToken = workspace.agentToken ?? (await replaceAgentToken(this.#needs, id));
      const { editor_port: editorPort } = await db
        .selectFrom('workspaces')
        .select('editor_port')
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      const started = await this.#driver.start(
        { id, name, editorPort: Number(editorPort) },
        {
          agentToken,
          relayUrl: (config.localRelayUrl ?? config.publicUrl).origin,
          env: { VSCODE_PROXY_URI: proxyUriTemplate(config, name) },
          onExit: (reason) => void this.#failed(id, name, reason),
        },
        AbortSignal.any([stop, bound]),
      );
      if (started.editorPort !== undefined && started.editorPort !== Number(editorPort)) {
        await db.transaction().execute(async (trx) => {
          await trx
            .updateTable('workspaces')
            .set({ editor_port: started.editorPort })
            .where('id', '=', id)
            .execute();
          await changes.record(trx, clock.now(), { kind: 'workspace', subject: name });
        });
        cache.drop(name);
      }
    } catch (error) {
      if (stop.aborted) return;
      logger.error({ err: error, workspace: name }, 'a local workspace did not start');
      const reason = bound.aborted
        ? 'It did not start within 15 minutes.'
        : error instanceof RelayError
          ? error.message
          : "It could not be started; the relay's log says why.";
      await this.#failed(id, name, reason);
    }
  }

  async #failed(id: string, name: string, reason: string): Promise<void> {
    if (this.#stopped) return;
    try {
      await this.#setState({ id, name }, 'failed', reason);
      this.#needs.cache.drop(name);
    } catch (error) {
      this.#needs.logger.error({ err: error, workspace: name }, 'a failure could not be recorded');
    }
  }

  async #setState(
    { id, name }: { readonly id: string; readonly name: string },
    state: 'starting' | 'failed',
    reason: string | null,
  ): Promise<void> {
    const { db, clock, changes } = this.#needs;
    await db.transaction().execute(async (trx) => {
      await trx
        .updateTable('workspaces')
        .set({ state, state_reason: reason })
        .where('id', '=', id)
        .where('terminated_at', 'is', null)
        .execute();
      await changes.record(trx, clock.now(), { kind: 'workspace', subject: name });
    });
  }
}
