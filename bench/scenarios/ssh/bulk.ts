/** One big file through every program that people copy with. */
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { run } from '../../lib/child.ts';
import { tool } from '../../lib/tools.ts';
import type { Scenario, Stand } from '../../scenario.ts';
import { NAME, type SshWay } from '../../systems/ssh-ways.ts';
import { bothWays } from './both-ways.ts';

/** For one copy; the slowest is expected to take a tenth of it. */
const WITHIN_MS = 600_000;

interface Copy {
  /** Exists already. */
  readonly from: string;
  /** Nothing is there yet. */
  readonly to: string;
}

/** MB/s of one program's run, from its start to its end. */
export async function megabytesPerSecond(
  bytes: number,
  copy: () => Promise<unknown>,
): Promise<number> {
  const start = performance.now();
  await copy();
  return bytes / 1e6 / ((performance.now() - start) / 1000);
}

/** A copy to a file that must then have the whole size. */
function copying(
  what: string,
  copy: (way: SshWay, paths: Copy, stand: Stand) => Promise<unknown>,
): Scenario {
  return bothWays(what, 'MB/s', async (stand, way) => {
    const { bytes } = stand.sshLoad;
    const paths = { from: stand.sshLoad.bigFile(), to: stand.sshLoad.free() };
    try {
      const result = await megabytesPerSecond(bytes, () => copy(way, paths, stand));
      const { size } = statSync(paths.to);
      if (size !== bytes) throw new Error(`${what} copied ${size} of ${bytes} bytes`);
      return result;
    } finally {
      rmSync(paths.to, { force: true });
    }
  });
}

export function ssh(
  way: SshWay,
  command: string,
  streams: { readonly input?: string; readonly discard?: boolean } = {},
): Promise<string> {
  return run(tool('ssh'), ['-F', way.config, NAME, command], {
    ...streams,
    env: way.env,
    signal: AbortSignal.timeout(WITHIN_MS),
  });
}

/** Runs commands of `sftp`, one a line. */
export async function sftp(way: SshWay, stand: Stand, commands: string): Promise<void> {
  const batch = stand.sshLoad.free();
  writeFileSync(batch, `${commands}\n`);
  await run(tool('sftp'), ['-q', '-F', way.config, '-b', batch, NAME], {
    env: way.env,
    discard: true,
    signal: AbortSignal.timeout(WITHIN_MS),
  });
}

/** Never a difference to a file that is there: all bytes go over. */
export function rsync(way: SshWay, from: string, to: string): Promise<string> {
  return run(tool('rsync'), ['-a', '--whole-file', from, to], {
    env: { ...way.env, RSYNC_RSH: `${tool('ssh')} -F ${way.config}` },
    signal: AbortSignal.timeout(WITHIN_MS),
  });
}

export const bulk: readonly Scenario[] = [
  bothWays('download', 'MB/s', (stand, way) => {
    const file = stand.sshLoad.bigFile();
    return megabytesPerSecond(stand.sshLoad.bytes, () =>
      ssh(way, `cat ${file}`, { discard: true }),
    );
  }),
  bothWays('upload', 'MB/s', (stand, way) => {
    const file = stand.sshLoad.bigFile();
    return megabytesPerSecond(stand.sshLoad.bytes, () =>
      ssh(way, 'cat >/dev/null', { input: file }),
    );
  }),
  copying('sftp-get', (way, { from, to }, stand) => sftp(way, stand, `get ${from} ${to}`)),
  copying('sftp-put', (way, { from, to }, stand) => sftp(way, stand, `put ${from} ${to}`)),
  copying('rsync-get', (way, { from, to }) => rsync(way, `${NAME}:${from}`, to)),
  copying('rsync-put', (way, { from, to }) => rsync(way, from, `${NAME}:${to}`)),
];

/** A tree of small files; what counts is round trips for each. */
function copyingTree(
  what: string,
  copy: (way: SshWay, paths: Copy, stand: Stand) => Promise<unknown>,
): Scenario {
  return bothWays(what, 'files/s', async (stand, way) => {
    const from = stand.sshLoad.tree();
    const to = stand.sshLoad.free();
    mkdirSync(to);
    try {
      const start = performance.now();
      await copy(way, { from, to }, stand);
      const seconds = (performance.now() - start) / 1000;
      const found = await run('find', [to, '-type', 'f', '-name', 'file-*']);
      const files = found.split('\n').length - 1;
      if (files !== stand.sshLoad.files)
        throw new Error(`${what} copied ${files} of ${stand.sshLoad.files} files`);
      return files / seconds;
    } finally {
      rmSync(to, { recursive: true, force: true });
    }
  });
}

export const smallFiles: readonly Scenario[] = [
  copyingTree('rsync-files', (way, { from, to }) => rsync(way, from, `${NAME}:${to}/`)),
  copyingTree('sftp-files-get', (way, { from, to }, stand) =>
    sftp(way, stand, `get -r ${from} ${to}/`),
  ),
  copyingTree('sftp-files-put', (way, { from, to }, stand) =>
    sftp(way, stand, `mkdir ${to}/${basename(from)}\nput -r ${from} ${to}/`),
  ),
];
