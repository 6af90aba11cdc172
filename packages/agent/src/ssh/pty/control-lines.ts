import type { Duplex } from 'node:stream';
import { constants } from 'node:os';
import type { PtyExit } from './types.ts';
import { signalName } from './end-session.ts';

/** What a helper says on its control socket: `pid N`, `tty PATH`, `exit CODE`, `signal NUMBER`. */
export interface Reports {
  readonly pid?: number;
  readonly tty?: string;
  readonly exit?: PtyExit;
}

/** A helper's lines are tens of bytes; more than this is not a helper of ours. */
const MAX_BYTES = 8 * 1024;

/** Calls `changed` with all that is known so far, each time a line arrives. */
export function readReports(control: Duplex, changed: (reports: Reports) => void): void {
  let text = '';
  let reports: Reports = {};
  control.setEncoding('utf8');
  control.on('data', (data: string) => {
    text += data;
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    if (text.length > MAX_BYTES) control.destroy();
    for (const line of lines) {
      reports = { ...reports, ...read(line) };
      changed(reports);
    }
  });
  // Whoever owns the helper learns of its end from the process itself.
  control.on('error', () => {});
}

function read(line: string): Reports {
  const [word = '', ...rest] = line.split(' ');
  const value = rest.join(' ');
  const number = Number(value);
  if (word === 'tty' && value.startsWith('/dev/')) return { tty: value };
  if (!Number.isSafeInteger(number) || number < 0) return {};
  if (word === 'pid' && number > 1) return { pid: number };
  if (word === 'exit') return { exit: { code: number & 255, signal: null } };
  if (word === 'signal') return { exit: exitBySignal(number) };
  return {};
}

/** The end of a command by a signal's number; as a shell tells it where the number has no name. */
export function exitBySignal(number: number): PtyExit {
  const name = signalName(number)?.slice(3);
  return name === undefined ? { code: 128 + number, signal: null } : { code: null, signal: name };
}

/** The number of a signal's name, with or without `SIG`. */
export function signalNumber(signal: string): number | undefined {
  const name = signalName(signal);
  return name === undefined ? undefined : constants.signals[name];
}
