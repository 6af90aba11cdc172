import { readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { HostKey } from '@burrow/ssh';
import type { Log } from '../log.ts';

/** The key outlives agents: it stays in a file of the workload. */
export interface WorkloadHostKey {
  /** `ssh-ed25519 AAAA…`. */
  readonly publicLine: string;
  load(): Promise<HostKey>;
}

const LINE = /^ssh-ed25519 [A-Za-z0-9+/]{68}$/;

export function defaultHostKeyFile(): string {
  const state = process.env['XDG_STATE_HOME'];
  const folder =
    state !== undefined && state.startsWith('/') ? state : join(homedir(), '.local/state');
  return join(folder, 'burrow/ssh_host_ed25519_key');
}

/**
 * The file's key, made when there is none. Where no file can be written, one
 * for this run alone, and a warning: clients will see another key each time.
 * The public half lies beside it, so that a later start needs no SSH library.
 */
export async function workloadHostKey(
  configured: string | undefined,
  log: Log,
): Promise<WorkloadHostKey> {
  const file = configured ?? defaultHostKeyFile();
  const known = (await readFile(`${file}.pub`, 'utf8').catch(() => '')).trim();
  const load = async (): Promise<HostKey> =>
    (await import('@burrow/ssh')).loadOrCreateHostKey(file);
  if (LINE.test(known) && (await exists(file))) return { publicLine: known, load };
  try {
    const key = await load();
    await writeFile(`${file}.pub`, `${key.publicLine}\n`).catch(() => {});
    return { publicLine: key.publicLine, load: async () => key };
  } catch (error) {
    const key = (await import('@burrow/ssh')).generateHostKey();
    log.warn('ssh', {
      message: `The SSH host key cannot be kept in ${file} (${(error as Error).message}); clients will see another one after each start. Set BURROW_AGENT_SSH_HOST_KEY_FILE to a file that lasts.`,
    });
    return { publicLine: key.publicLine, load: async () => key };
  }
}

async function exists(file: string): Promise<boolean> {
  return readFile(file).then(
    () => true,
    () => false,
  );
}
