import type { ClientRequest, IncomingMessage } from 'node:http';
import { ApiError } from '@burrow/api';
import { CliError, EXIT } from '../cli-error.ts';
import type { Settings } from '../settings/settings.ts';
import { exitOf } from './api.ts';
import { askFor } from './http.ts';

export interface LinesOptions {
  /** May return a promise: nothing more is read until it is resolved. */
  readonly onLine: (line: string) => void | Promise<void>;
  /** A relay that says nothing for so long is gone, ms. */
  readonly silentMs: number;
  readonly signal: AbortSignal;
}

const LONGEST_LINE = 64 * 1024;

/** Reads an answer of the API line by line, empty ones left out, until it ends. Rejects with CliError, or with the signal's reason. */
export async function readLines(
  settings: Settings,
  path: string,
  { onLine, silentMs, signal }: LinesOptions,
): Promise<void> {
  const headers = {
    accept: 'application/x-ndjson, application/json',
    authorization: `Bearer ${settings.token}`,
  };
  try {
    await askFor(settings, path, { headers, signal }, async (request) => {
      const response = await begun(request);
      request.setTimeout(silentMs, () => request.destroy(new Error('it has fallen silent')));
      const status = response.statusCode ?? 0;
      const text = await eachLine(response, status === 200 ? onLine : undefined).catch(
        (error: unknown) => {
          const why = (error as Error).message;
          throw new CliError(
            `The connection to the relay at ${settings.url.host} was lost: ${why}.`,
            EXIT.unreachable,
            { cause: error },
          );
        },
      );
      if (status === 200) return;
      const error = ApiError.from(status, text);
      throw new CliError(error.message, exitOf(status), { cause: error });
    });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** Without `onLine` it is one text. Resolves with what is behind the last end of a line. */
async function eachLine(
  response: IncomingMessage,
  onLine: LinesOptions['onLine'] | undefined,
): Promise<string> {
  let rest = '';
  for await (const part of response.setEncoding('utf8') as AsyncIterable<string>) {
    rest += part;
    if (onLine !== undefined) {
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') await onLine(line);
    }
    if (rest.length > LONGEST_LINE) throw new Error('the answer is not in lines');
  }
  return rest;
}

function begun(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('error', reject);
    request.once('response', (response) => {
      request.on('error', (error) => response.destroy(error));
      resolve(response);
    });
    request.end();
  });
}
