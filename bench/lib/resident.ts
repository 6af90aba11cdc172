import { readFileSync, writeFileSync } from 'node:fs';

/** Resident memory of a process in KB (1024 bytes), as the kernel counts it. Linux only. */
export function residentKb(pid: number): number {
  return status(pid, 'VmRSS');
}

/** The most that it was since the process began, or since `forgetPeak`. KB. */
export function peakResidentKb(pid: number): number {
  return status(pid, 'VmHWM');
}

/** Lets the kernel count the peak anew, from what is resident now (proc(5), clear_refs). */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function status(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(
    readFileSync(`/proc/${pid}/status`, 'utf8'),
  );
  return Number(match?.[1]);
}
