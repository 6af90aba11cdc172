import { once } from 'node:events';
import { channelIdSchema, type TraceEvent } from '@burrow/api';
import { CliError, EXIT } from '../cli-error.ts';
import { tell } from '../output.ts';
import { plainText } from '../plain-text.ts';
import { readLines } from '../relay/lines.ts';
import { readSettings } from '../settings/settings.ts';
import { follow } from './follow.ts';
import { InOrder } from './in-order.ts';
import { TraceLines } from './trace-lines.ts';

export interface TraceOptions {
  readonly data: boolean;
  readonly json?: boolean;
}

/** Twice what the relay lets pass between two words, and some. */
const SILENT_MS = 40_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Shows what happens to a channel until it ends, or a signal comes. Rejects with CliError. */
export async function trace(channel: string, { data, json = false }: TraceOptions): Promise<void> {
  const prefix = channelIdSchema.safeParse(channel.toLowerCase());
  if (!prefix.success) {
    const [issue] = prefix.error.issues;
    throw new CliError(`A channel’s id ${issue?.message ?? 'is not valid'}.`, EXIT.usage);
  }
  const settings = readSettings();
  const stopped = new AbortController();
  const { signal } = stopped;
  const stop = (): void => stopped.abort();
  const { stdout } = process;
  const colours = stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';
  const lines = new TraceLines({ colours });
  const inOrder = new InOrder<TraceEvent>({
    print: (event) => void stdout.write(lines.of(event)),
  });
  // A second signal ends it as it ends any program.
  for (const each of SIGNALS) process.once(each, stop);
  // `| head` has seen enough.
  stdout.on('error', stop);
  try {
    await follow(prefix.data, {
      read: (id, onLine) =>
        readLines(settings, `/api/v1/cluster/channels/${id}/trace?data=${data}`, {
          ...{ onLine, signal, silentMs: SILENT_MS },
        }),
      async onEvent(event, line) {
        if (json) stdout.write(`${line}\n`);
        else {
          lines.expect(event);
          inOrder.push(event);
        }
        if (stdout.writableNeedDrain) await once(stdout, 'drain', { signal });
      },
      onAgain(why) {
        inOrder.flush();
        tell(plainText(`burrow: ${why} Asking again …`));
      },
      signal,
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    inOrder.flush();
    for (const each of SIGNALS) process.off(each, stop);
    stdout.off('error', stop);
  }
}
