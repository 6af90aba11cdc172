import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Living processes (Linux) whose working directory is in `folder`, or that name it in their arguments. */
export function processesIn(folder: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const pid = Number(name);
    if (pid === process.pid) continue;
    try {
      const args = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      if (args.includes(folder) || readlinkSync(`/proc/${name}/cwd`).startsWith(folder)) {
        found.push(pid);
      }
    } catch {
      // Gone meanwhile, or another user's.
    }
  }
  return found;
}
