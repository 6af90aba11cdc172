import { onStarterGone } from './lifeline.ts';

/** One Ctrl-C can arrive more than once: from the terminal, from npm, from the bootstrap. */
const SAME_SIGNAL_MS = 400;

/**
 * Calls `stop` at the first Ctrl-C, SIGTERM or SIGHUP, and when the process that started this one
 * is gone. A second one does not wait: what still runs notices that this process is gone, and ends.
 */
export function onStopSignal(stop: () => void): void {
  let firstAt = 0;
  const onSignal = (): void => {
    const now = performance.now();
    if (firstAt === 0) {
      firstAt = now;
      process.stderr.write('\nStopping … (Ctrl-C again to stop at once)\n');
      stop();
    } else if (now - firstAt > SAME_SIGNAL_MS) process.exit(130);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  onStarterGone(onSignal);
}
