import { Socket } from 'node:net';

/**
 * Calls back when the process that started this one (scripts/bootstrap.mjs) is
 * gone, even when it was killed: its end of a pipe closes. Does nothing when
 * this process was started in another way. Does not keep the process alive.
 */
export function onStarterGone(listener: () => void): void {
  const fd = Number(process.env['BURROW_PARENT_FD']);
  delete process.env['BURROW_PARENT_FD'];
  if (!Number.isInteger(fd) || fd < 3) return;
  const line = new Socket({ fd, readable: true, writable: false });
  line.on('error', () => undefined);
  line.once('close', listener);
  line.resume();
  line.unref();
}
