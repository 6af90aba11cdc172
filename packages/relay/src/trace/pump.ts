import type { Writable } from 'node:stream';
import type { LineQueue } from './line-queue.ts';

export interface PumpOptions {
  readonly flushMs: number;
  /** Written when nothing else was for so long. */
  readonly idle: { readonly line: string; readonly everyMs: number };
}

/**
 * Writes what is in the queue as lines of JSON, as fast as it is taken: while the
 * other side does not read, the queue is left to count what it loses.
 * Returns what writes the rest and ends the stream; idempotent.
 */
export function pump(queue: LineQueue, to: Writable, { flushMs, idle }: PumpOptions): () => void {
  let blocked = false;
  let wroteAt = performance.now();
  let stopped = false;
  const flush = (): void => {
    if (blocked || to.destroyed) return;
    const now = performance.now();
    const events = queue.take();
    if (events.length === 0 && now - wroteAt < idle.everyMs) return;
    const text = events.map((event) => `${JSON.stringify(event)}\n`).join('');
    wroteAt = now;
    blocked = !to.write(text === '' ? `${idle.line}\n` : text);
  };
  const timer = setInterval(flush, flushMs);
  const onDrain = (): void => void (blocked = false);
  const stop = (): void => {
    if (stopped) return;
    stopped = true;
    clearInterval(timer);
    to.off('drain', onDrain);
    blocked = false;
    flush();
    to.end();
  };
  to.on('drain', onDrain);
  to.once('close', () => {
    stopped = true;
    clearInterval(timer);
  });
  return stop;
}
