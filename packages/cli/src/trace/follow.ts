import { setTimeout as sleep } from 'node:timers/promises';
import type { TraceEvent } from '@burrow/api';
import { CliError, EXIT } from '../cli-error.ts';

/** One answer of the API: gives each line to `onLine`, until it ends. Rejects with CliError, or with the signal's reason. */
export type ReadTrace = (
  channel: string,
  onLine: (line: string) => void | Promise<void>,
) => Promise<void>;

export interface FollowOptions {
  readonly read: ReadTrace;
  readonly onEvent: (event: TraceEvent, line: string) => void | Promise<void>;
  /** The answer broke off, and is asked for again. */
  readonly onAgain: (why: string) => void;
  readonly signal: AbortSignal;
  readonly retryMs?: number;
  /** After nobody has answered for so long, ms, nobody is asked any more. */
  readonly patienceMs?: number;
}

const RETRY_MS = 200;
const PATIENCE_MS = 30_000;

/**
 * Follows a channel to its end, also when the relay that tells of it goes away:
 * the next one that answers is asked for the same channel. Rejects with CliError, or with the signal's reason.
 */
export async function follow(channel: string, options: FollowOptions): Promise<void> {
  const { signal, retryMs = RETRY_MS, patienceMs = PATIENCE_MS } = options;
  let id = channel;
  let heard = false;
  let brokeAt: number | undefined;
  for (;;) {
    const answer = await once(id, options, () => {
      heard = true;
      brokeAt = undefined;
    });
    if (answer.id !== undefined) id = answer.id;
    const { last, error } = answer;
    if (last?.event === 'over') return;
    if (last?.event === 'end' && last.code !== 'draining') {
      throw new CliError(last.reason, last.code === 'gone' ? EXIT.notFound : EXIT.notSignedIn);
    }
    const why = last?.reason ?? error?.message ?? 'The relay broke off.';
    const again = error === undefined || error.exitCode === EXIT.unreachable;
    const waits = brokeAt === undefined ? 0 : performance.now() - brokeAt;
    // What fails at once is no trace that broke off.
    if (!again || !heard || waits > patienceMs) {
      throw error ?? new CliError(why, EXIT.unreachable);
    }
    if (brokeAt === undefined) options.onAgain(why);
    brokeAt ??= performance.now();
    await sleep(retryMs, undefined, { signal });
  }
}

interface Answer {
  /** The whole id, if it was told. */
  readonly id: string | undefined;
  /** The last word of the relay; undefined: it broke off. */
  readonly last: Extract<TraceEvent, { event: 'over' | 'end' }> | undefined;
  readonly error: CliError | undefined;
}

async function once(
  channel: string,
  { read, onEvent }: FollowOptions,
  onHeard: () => void,
): Promise<Answer> {
  let id: string | undefined;
  let last: Answer['last'];
  try {
    await read(channel, (line) => {
      const event = JSON.parse(line) as TraceEvent;
      onHeard();
      if (event.event === 'watching') id = event.channel;
      if (event.event === 'renamed') id = event.id;
      if (event.event === 'over' || event.event === 'end') last = event;
      return onEvent(event, line);
    });
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return { id, last, error };
  }
  return { id, last, error: undefined };
}
