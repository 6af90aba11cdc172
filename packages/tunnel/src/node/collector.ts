import { setFlagsFromString } from 'node:v8';

/** The first Node whose V8 has the flag. */
const SINCE_NODE = 24;

/**
 * Lets V8 count buffers in its overall limit instead of starting a full
 * collection for every 64 KiB x 256 that pass through the process. Every read
 * of a socket is a buffer that dies at once; a relay that copies 400 MB went
 * through 26 full collections without this, through 4 with it, and carried 1.8
 * times as much (docs/decisions/2026-11-23-collections-under-bulk.md). For the
 * whole process: to be called by its main file.
 */
export function tuneCollector(): void {
  const major = Number(process.versions.node.split('.')[0]);
  // Older ones print a complaint about a flag they do not know.
  if (major >= SINCE_NODE) setFlagsFromString('--external-memory-accounted-in-global-limit');
}
