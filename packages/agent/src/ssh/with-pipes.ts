import type { ChildProcess } from 'node:child_process';

/**
 * The child, if it has the pipes that it was to have. Without descriptors to spare Node leaves them out, whatever
 * its types say, and reports the reason later, in an event that must have a listener. Throws a sentence then.
 */
export function withPipes<Child extends ChildProcess>(child: Child, file: string): Child {
  if ((child as Partial<ChildProcess>).stdout !== undefined) return child;
  child.on('error', () => {});
  throw new Error(`cannot start ${file}: too many files are open in the workload.`);
}
