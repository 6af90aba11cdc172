import { setFlagsFromString } from 'node:v8';

/** The first Node whose V8 has both flags. */
const SINCE_NODE = 24;

/**
 * Fits V8's collector to processes that copy bytes: every read of a socket is
 * a buffer outside the heap that dies at once, and V8 would start a full
 * collection for every few MB of them
 * (docs/decisions/2026-11-23-collections-under-bulk.md).
 *
 * - Buffers count in V8's overall limit instead of starting a full collection
 *   for every 64 KiB x 256 that pass through.
 * - That limit is five times what is alive, not about one and a half: an SSH
 *   gateway that carries 1 GB went through 79 full collections without this,
 *   through 3 with it.
 *
 * For the whole process and the threads that it starts later: to be called by
 * its main file.
 */
export function tuneCollector(): void {
  const major = Number(process.versions.node.split('.')[0]);
  // Older ones print a complaint about a flag they do not know.
  if (major < SINCE_NODE) return;
  setFlagsFromString('--external-memory-accounted-in-global-limit');
  setFlagsFromString('--heap-growing-percent=400');
}
