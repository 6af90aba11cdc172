import { readFileSync } from 'node:fs';

/** USER_HZ, which every Linux on x64 and arm64 has (proc(5)). */
const TICKS_PER_SECOND = 100;

/** Processor time of a process with all its threads since it began, in µs; to 10 ms. Linux only. */
export function processorTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [fields[11], fields[12]].map(Number) as [number, number];
  return ((user + system) * 1_000_000) / TICKS_PER_SECOND;
}
