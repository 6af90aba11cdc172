import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildOrder } from './supervision.ts';
import type { WorkspaceFolder } from './folder.ts';

const POLL_MS = 50;
const PROBE_MS = 1_000;

export interface EditorOptions {
  /** The folder that holds `out/server-main.js`. */
  readonly server: string;
  readonly port: number;
  readonly folder: WorkspaceFolder;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * VS Code's server on loopback. It checks no token of its own: whoever reaches
 * the port is let in, which is what the relay's sign-in stands before.
 */
export function editorOrder({ server, port, folder, env }: EditorOptions): ChildOrder {
  const flags = Object.entries({
    host: '127.0.0.1',
    port: String(port),
    'server-data-dir': folder.serverData,
    'user-data-dir': folder.userData,
    'extensions-dir': folder.extensions,
    'default-folder': folder.projects,
    'telemetry-level': 'off',
  }).flatMap(([name, value]) => [`--${name}`, value]);
  flags.push('--without-connection-token', '--accept-server-license-terms');
  return {
    name: 'editor',
    command: process.execPath,
    args: [join(server, 'out/server-main.js'), ...flags],
    env,
    cwd: folder.projects,
    logFile: join(folder.logs, 'editor.log'),
    finalExitCodes: [],
  };
}

/** Resolves once the editor answers on its port; rejects with the signal's reason. */
export async function editorAnswers(port: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      const response = await fetch(`http://127.0.0.1:${port}/version`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]),
      });
      await response.body?.cancel();
      if (response.ok) return;
    } catch {
      // Not up yet.
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}
