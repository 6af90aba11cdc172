import { pino, type DestinationStream, type Logger } from 'pino';
import { censor } from './censor.ts';
import { prettyLine } from './pretty.ts';

export type { Logger } from 'pino';

export interface LoggerOptions {
  readonly level: string;
  readonly pretty: 'auto' | 'always' | 'never';
  /** Where lines go; default: standard error. */
  readonly destination?: DestinationStream;
}

export interface RelayLogger {
  readonly logger: Logger;
  /** Writes what is buffered. */
  flush(): void;
}

/** Fields that hold a secret by their very name, wherever they are. */
const SECRET_FIELDS = [
  'token',
  'authorization',
  'cookie',
  'password',
  'secret',
  'set-cookie',
  'burrow-authorization',
];

/** JSON lines, or lines for people; never a secret in either. */
export function createLogger(options: LoggerOptions): RelayLogger {
  const tty = process.stderr.isTTY;
  const pretty =
    options.pretty === 'always' ||
    (options.pretty === 'auto' && options.destination === undefined && tty);
  const own =
    options.destination === undefined ? pino.destination({ dest: 2, sync: false }) : undefined;
  const destination = options.destination ?? own;
  if (destination === undefined) throw new Error('no destination');
  const colours = tty && (process.env['NO_COLOR'] ?? '') === '';
  const logger = pino(
    {
      level: options.level,
      base: null,
      redact: {
        paths: SECRET_FIELDS.flatMap((field) => {
          const key = field.includes('-') ? `["${field}"]` : field;
          const dot = field.includes('-') ? '' : '.';
          return [key, `*${dot}${key}`, `*.*${dot}${key}`];
        }),
        censor: '[hidden]',
      },
      serializers: {
        err: pino.stdSerializers.err,
        error: (value: unknown) => (value instanceof Error ? value.message : value),
      },
      hooks: {
        streamWrite: (line) => (pretty ? prettyLine(censor(line), colours) : censor(line)),
      },
    },
    destination,
  );
  return { logger, flush: () => own?.flushSync() };
}
