import type { LogLevel } from './config/settings.ts';

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** One line per event. Callers pass no secrets; there is no free-form object to leak one. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

const ORDER = { debug: 10, info: 20, warn: 30, error: 40 } as const;

export interface LogOptions {
  readonly level: LogLevel;
  /** Human-readable lines in place of JSON. */
  readonly pretty: boolean;
  readonly write: (line: string) => void;
  /** ms since the epoch. */
  readonly now?: () => number;
}

export function createLog(options: LogOptions): Log {
  const now = options.now ?? Date.now;
  const threshold = ORDER[options.level];
  const format = options.pretty ? prettyLine : jsonLine;
  const at = (level: LogLevel) => {
    if (ORDER[level] < threshold) return () => {};
    return (event: string, fields: LogFields = {}) =>
      options.write(format(new Date(now()).toISOString(), level, event, fields));
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function jsonLine(time: string, level: LogLevel, event: string, fields: LogFields): string {
  return `${JSON.stringify({ time, level, event, ...fields })}\n`;
}

function prettyLine(time: string, level: LogLevel, event: string, fields: LogFields): string {
  const { message, ...rest } = fields;
  const pairs = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${printable(String(value))}`);
  const mark = level === 'info' || level === 'debug' ? '' : `${level}: `;
  const words = [`${time.slice(11, 19)} ${mark}${event}`, ...pairs];
  if (message !== undefined) words.push(`- ${printable(String(message))}`);
  return `${words.join(' ')}\n`;
}

/** Text from the other side must not drive the terminal. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
