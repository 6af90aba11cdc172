/**
 * One small process for each local workspace. It starts the editor and the
 * agent, restarts them when they end, and ends them (and all that runs in the
 * editor's terminals) when its standard input closes. The other end of that is
 * the relay: so nothing stays behind, even when the relay is killed.
 */
import { createInterface } from 'node:readline';
import { SupervisedChild } from './supervised-child.ts';
import { endMarked } from './marked-processes.ts';
import type { SupervisorOrder, SupervisorReport } from './supervision.ts';

let children: SupervisedChild[] = [];
let order: SupervisorOrder | undefined;
let stopping = false;

function report(message: SupervisorReport): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  if (order !== undefined) {
    const { graceMs, mark } = order;
    await Promise.all(children.map((child) => child.stop(graceMs)));
    await endMarked(mark, 300);
  }
  process.exit(0);
}

// The relay may be gone: reports are then for nobody, and no reason to fail.
process.stdout.on('error', () => undefined);
// Ctrl-C is for the relay, which then closes our input.
process.on('SIGINT', () => undefined);
process.on('SIGHUP', () => undefined);
process.on('SIGTERM', () => void stop());

const lines = createInterface({ input: process.stdin });
lines.once('line', (line) => {
  const parsed = JSON.parse(line) as SupervisorOrder;
  order = parsed;
  children = parsed.children.map((child) => new SupervisedChild(child, parsed.mark, report));
  for (const child of children) child.start();
});
lines.once('close', () => void stop());
