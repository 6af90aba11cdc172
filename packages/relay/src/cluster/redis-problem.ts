import { TunnelError } from '@burrow/tunnel';

/**
 * A sentence for a person about an error of the client. Only the server's first
 * line is shown: errors of the client also carry the command, passwords included.
 */
export function redisProblem(error: unknown): string {
  const message = firstLine(error);
  if (/^(WRONGPASS|NOAUTH|ERR AUTH|ERR invalid password)/i.test(message)) {
    return `Redis refuses the relay's user or password (${message}).`;
  }
  if (message.startsWith('NOPERM')) {
    return `Redis' access rules do not let the relay's user do its work (${message}); docs/operations.md lists what it needs.`;
  }
  if (/max number of clients/i.test(message)) {
    return 'Redis takes no more clients (maxclients is reached).';
  }
  if (/^(OOM|MISCONF|READONLY|CLUSTERDOWN|LOADING|MASTERDOWN|NOREPLICAS)\b/.test(message)) {
    return `Redis cannot serve the relay now (${message}).`;
  }
  if (/^[A-Z]+ /.test(message) && (error as Error).name === 'ReplyError') {
    return `Redis refuses what the relay asks (${message}).`;
  }
  return `Redis does not answer (${message}).`;
}

/** For whoever needed Redis for an answer: people, who are told nothing of where and how it runs. */
export function redisUnavailable(problem: string, cause?: unknown): TunnelError {
  return new TunnelError(
    'unavailable',
    `${problem.replace(/ \(.*\)/, '')} This relay serves the agents that it knows; which other relay holds an agent cannot be looked up.`,
    cause === undefined ? {} : { cause },
  );
}

function firstLine(error: unknown): string {
  const { code, message, errors } = error as NodeJS.ErrnoException & { errors?: Error[] };
  // Several addresses of one name, each with its own failure, and no message of its own.
  const text = message === '' || message === undefined ? errors?.[0]?.message : message;
  const [line = ''] = (text ?? code ?? 'no reason given').split('\n');
  // Where Redis is stands in the configuration; /readyz is for everybody.
  return line.replace(/ \S+:\d+$/, '').slice(0, 200);
}
