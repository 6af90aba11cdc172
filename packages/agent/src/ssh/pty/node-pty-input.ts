import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import type { NodePtyTerminal } from './node-pty.ts';

/** How long to wait when a terminal takes no more, at first and at most. */
const FIRST_WAIT_MS = 2;
const LAST_WAIT_MS = 100;

/**
 * What is typed, with back-pressure. node-pty's own `write` queues without end
 * for a program that does not read, and turns the event loop all the while.
 */
export function terminalInput(terminal: NodePtyTerminal): Writable {
  const { fd, _socket: socket } = terminal;
  let timer: NodeJS.Timeout | undefined;
  // In one turn with the check, so that the number cannot mean another file by then.
  const open = (): boolean => socket !== undefined && socket.destroyed === false;

  const write = (data: Buffer, done: (error?: Error | null) => void, wait: number): void => {
    if (fd === undefined || socket === undefined) {
      terminal.write(data);
      return done();
    }
    if (!open()) return done();
    let written = 0;
    try {
      written = writeSync(fd, data);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return done();
    }
    if (written === data.length) return done();
    const rest = data.subarray(written);
    const next = written > 0 ? FIRST_WAIT_MS : Math.min(wait * 2, LAST_WAIT_MS);
    timer = setTimeout(() => write(rest, done, next), wait);
    return undefined;
  };
  const input = new Writable({
    write: (data: Buffer, _encoding, done) => write(data, done, FIRST_WAIT_MS),
    destroy: (error, done) => {
      clearTimeout(timer);
      done(error);
    },
  });
  input.on('error', () => {});
  return input;
}
