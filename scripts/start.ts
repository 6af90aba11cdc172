import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { tuneCollector } from '@burrow/tunnel/node';
import type { Principal } from '../packages/relay/src/auth/principal.ts';
import { loadConfig } from '../packages/relay/src/config/load.ts';
import { localDriver } from '../packages/relay/src/drivers/local.ts';
import { createRelay, type Relay } from '../packages/relay/src/relay.ts';
import { installEditor } from './install-editor.mjs';
import { ensureAgentBundle } from './lib/agent-bundle.ts';
import { freePortOr } from './lib/free-port-or.ts';
import { explainStart } from './lib/explain-start.ts';
import { step } from './lib/progress.mjs';
import { onStopSignal } from './lib/stop-signals.ts';
import { firstUser, signInUrl } from './start/first-user.ts';
import { HELP, parseStartArguments, type StartArguments } from './start/arguments.ts';
import { readyBlock, writeReadyFile, type Ready } from './start/ready.ts';
import { workspaceAnswers } from './start/workspace-answers.ts';

/** As other SSH servers without root have it. */
const DEFAULT_SSH_PORT = 2222;
const TOKEN_NAME = 'npm start';
const WORKSPACE_START_MS = 60_000;
/** For requests under way when Ctrl-C comes; an open editor reconnects later anyway. */
const STOP_GRACE_MS = 200;

const stopping = new AbortController();
let relay: Relay | undefined;

async function start(args: StartArguments): Promise<void> {
  tuneCollector();
  const { signal } = stopping;
  const { config } = loadConfig({
    // Only what must be seen disturbs the block below; a variable may ask for more.
    env: { BURROW_RELAY_LOG__LEVEL: 'warn', ...process.env },
    flags: {
      dataDir: args.dataDir,
      'listen.port': args.port,
      'ssh.port': args.sshPort ?? (await freePortOr(DEFAULT_SSH_PORT)),
    },
  });
  const agent = await ensureAgentBundle();
  const drivers =
    args.workspace === undefined
      ? []
      : [
          localDriver({
            folder: join(args.dataDir, 'workspaces'),
            editor: await installEditor({ signal }),
            agent,
          }),
        ];
  signal.throwIfAborted();
  relay = await createRelay(config, { drivers });
  await relay.start();
  signal.throwIfAborted();

  const { admin, token } = await firstUser(relay, TOKEN_NAME);
  const workspace =
    args.workspace === undefined
      ? null
      : await startWorkspace(relay, { admin, token, name: args.workspace, signal });
  const ready: Ready = {
    url: await signInUrl(relay, { admin, workspace: workspace?.name }),
    api: `${relay.url.origin}/api/v1`,
    token,
    domain: config.domain,
    workspace,
    ssh: relay.ssh ?? { host: '', port: 0, hostKey: '' },
  };
  if (args.readyFile !== undefined) await writeReadyFile(args.readyFile, ready);
  const colours = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';
  process.stdout.write(`${readyBlock(ready, colours)}\n`);
}

interface WorkspaceStart {
  readonly admin: Principal;
  readonly token: string;
  readonly name: string;
  readonly signal: AbortSignal;
}

/** Resolves once VS Code answers through the tunnel. */
async function startWorkspace(
  running: Relay,
  { admin, token, name, signal }: WorkspaceStart,
): Promise<{ name: string; url: string }> {
  const progress = step(`Starting VS Code in workspace "${name}"`);
  const bound = AbortSignal.any([signal, AbortSignal.timeout(WORKSPACE_START_MS)]);
  try {
    await running.control.ensureWorkspace(admin, { name, driver: 'local' });
    for (;;) {
      const { state, stateReason } = await running.control.showWorkspace(admin, name);
      if (state === 'running') break;
      if (state === 'failed') throw new Error(stateReason ?? `Workspace "${name}" failed.`);
      if (bound.aborted) {
        throw new Error(`Workspace "${name}" was not ready within ${WORKSPACE_START_MS / 1000} s.`);
      }
      await sleep(25);
    }
    const { url } = await running.control.showWorkspace(admin, name);
    const { host } = new URL(url);
    await workspaceAnswers({ port: running.port, host, token }, bound);
    progress.done(`Workspace "${name}" is up`);
    return { name, url };
  } catch (error) {
    if (signal.aborted) progress.clear();
    else progress.fail();
    throw error;
  }
}

let stopped: Promise<void> | undefined;
function stop(exitCode: number): Promise<void> {
  return (stopped ??= (async () => {
    await relay?.stop(STOP_GRACE_MS);
    if (stopping.signal.aborted) process.stderr.write('Stopped.\n');
    process.exit(exitCode);
  })());
}

let args: StartArguments | undefined;
try {
  args = parseStartArguments(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
  process.exit(2);
}
if (args === undefined) {
  process.stdout.write(HELP);
  process.exit(0);
}
onStopSignal(() => {
  stopping.abort();
  void stop(0);
});
try {
  await start(args);
} catch (error) {
  if (!stopping.signal.aborted) {
    process.stderr.write(
      `Burrow could not start. ${explainStart(error, args.port, 'npm start')}\n`,
    );
    await stop(1);
  }
  await stopped;
}
