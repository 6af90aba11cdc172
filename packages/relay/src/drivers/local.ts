import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { RelayError } from '../errors.ts';
import type { Driver, DriverStart, DriverStarted, DriverWorkspace } from './driver.ts';
import { cleanEnvironment } from './local/clean-environment.ts';
import { editorAnswers, editorOrder } from './local/editor-process.ts';
import { prepareFolder, writeIdentity } from './local/folder.ts';
import { loopbackPort } from './local/loopback-port.ts';
import { endMarked } from './local/marked-processes.ts';
import { startSupervisor, type Supervisor } from './local/supervisor.ts';
import type { SupervisorReport } from './local/supervision.ts';

/** How long the editor may take to answer for the first time. */
const EDITOR_START_MS = 60_000;
/** Between SIGTERM and SIGKILL. */
const GRACE_MS = 3_000;
/** The agent's bad configuration, unknown token, revoked token: another start would not help. */
const FINAL_AGENT_EXIT_CODES = [2, 3, 4];

export interface LocalDriverOptions {
  /** Workspaces live in `<folder>/<name>/`. */
  readonly folder: string;
  /** The folder of VS Code's server, the one that holds `out/server-main.js`. */
  readonly editor: string;
  /** The agent's bundle, `burrow-agent.mjs`. */
  readonly agent: string;
  /** More environment for the agent, e.g. a CA file for this relay's certificate. */
  readonly agentEnv?: Readonly<Record<string, string>>;
  /** Told what the workloads' processes do; nothing in it is secret. */
  readonly onReport?: (workspace: string, report: SupervisorReport) => void;
}

interface Running {
  readonly port: number;
  readonly supervisor: Supervisor;
}

/** Runs VS Code and an agent on the relay's own machine. */
export function localDriver(options: LocalDriverOptions): Driver {
  const running = new Map<string, Running>();
  const portsInUse = (): Set<number> => new Set([...running.values()].map((entry) => entry.port));

  function checkInstalled(): void {
    for (const [what, path] of [
      ['The VS Code server', join(options.editor, 'out/server-main.js')],
      ['The agent', options.agent],
    ] as const) {
      if (existsSync(path)) continue;
      throw new RelayError(
        'unavailable',
        `${what} is not installed on the relay's machine, so it can start no local workspace.`,
      );
    }
  }

  async function start(
    workspace: DriverWorkspace,
    request: DriverStart,
    signal: AbortSignal,
  ): Promise<DriverStarted> {
    await stop(workspace.id);
    checkInstalled();
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const folder = await prepareFolder(options.folder, workspace);
    // Names this workspace in this data folder, whoever runs it: so that what an
    // earlier relay could not end is found.
    const mark = createHash('sha256')
      .update(`${await realpath(folder.home)}\0${workspace.id}`)
      .digest('hex')
      .slice(0, 32);
    await endMarked(mark, 500);
    signal.throwIfAborted();

    const used = portsInUse();
    const wanted = [workspace.editorPort, folder.lastPort ?? 0].filter((port) => !used.has(port));
    const port = await loopbackPort(wanted);
    await writeIdentity(folder.home, { id: workspace.id, editorPort: port });

    const base = cleanEnvironment(process.env);
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined);
    let ready = false;
    const lost = (reason: string): void => {
      failed.reject(new RelayError('unavailable', reason));
      if (!ready) return;
      void stop(workspace.id).then(() => request.onExit(reason));
    };
    const supervisor = await startSupervisor({
      order: {
        mark,
        graceMs: GRACE_MS,
        children: [
          editorOrder({
            server: options.editor,
            port,
            folder,
            env: { ...base, ...request.env },
          }),
          {
            name: 'agent',
            command: process.execPath,
            args: [options.agent],
            env: {
              ...base,
              ...options.agentEnv,
              // The relay is on this machine: no proxy stands between.
              NO_PROXY: '*',
              no_proxy: '*',
              BURROW_RELAY_URL: request.relayUrl,
              BURROW_AGENT_TOKEN: request.agentToken,
              BURROW_AGENT_SSH_DIRECTORY: folder.projects,
              BURROW_AGENT_SSH_HOST_KEY_FILE: folder.sshHostKey,
              // Less than the time it is given to end.
              BURROW_AGENT_DRAIN_TIMEOUT: String(Math.floor(GRACE_MS / 1000) - 1),
            },
            cwd: folder.home,
            logFile: join(folder.logs, 'agent.log'),
            finalExitCodes: FINAL_AGENT_EXIT_CODES,
          },
        ],
      },
      env: base,
      onReport: (report) => {
        options.onReport?.(workspace.name, report);
        if (report.event === 'gave-up') {
          const log = join(folder.logs, `${report.child}.log`);
          lost(`The ${report.child} of this workspace keeps failing: ${report.why}. See ${log}.`);
        }
      },
      onLost: () => lost('The supervisor of this workspace was killed.'),
    });
    running.set(workspace.id, { port, supervisor });

    const enough = new AbortController();
    const bound = AbortSignal.any([signal, enough.signal, AbortSignal.timeout(EDITOR_START_MS)]);
    try {
      await Promise.race([editorAnswers(port, bound), failed.promise]);
    } catch (error) {
      await stop(workspace.id);
      if (error instanceof RelayError) throw error;
      throw new RelayError(
        'unavailable',
        signal.aborted
          ? 'Starting this workspace was cancelled.'
          : `VS Code did not answer within ${EDITOR_START_MS / 1000} s. See ${join(folder.logs, 'editor.log')}.`,
        { cause: error },
      );
    } finally {
      enough.abort();
    }
    ready = true;
    return { editorPort: port };
  }

  async function stop(workspaceId: string): Promise<void> {
    const entry = running.get(workspaceId);
    if (entry === undefined) return;
    await entry.supervisor.stop();
    if (running.get(workspaceId) === entry) running.delete(workspaceId);
  }

  return {
    name: 'local',
    start,
    stop,
    stopAll: async () => {
      await Promise.all([...running.keys()].map(stop));
    },
  };
}
