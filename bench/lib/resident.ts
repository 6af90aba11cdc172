import { readFileSync } from 'node:fs';

/** Resident memory of a process in KB (1024 bytes), as the kernel counts it. Linux only. */
export function residentKb(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1]);
}
