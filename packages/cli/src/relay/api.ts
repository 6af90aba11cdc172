import { ApiError, createClient, type Client } from '@burrow/api';
import { CliError, EXIT, type ExitCode } from '../cli-error.ts';
import type { Settings } from '../settings/settings.ts';
import { ask } from './http.ts';

const WITHIN_MS = 20_000;

/** The relay's API. Calls reject with ApiError or CliError; `explained` makes one of both. */
export function apiOf(settings: Settings): Client {
  const over = async (url: string, init: RequestInit): Promise<Response> => {
    const { pathname, search } = new URL(url);
    const answer = await ask(settings, pathname + search, {
      method: init.method ?? 'GET',
      headers: init.headers as Record<string, string>,
      ...(typeof init.body === 'string' ? { body: init.body } : {}),
      signal: init.signal ?? AbortSignal.timeout(WITHIN_MS),
    });
    return new Response(answer.status === 204 ? null : answer.text, { status: answer.status });
  };
  return createClient({
    baseUrl: settings.url,
    token: settings.token,
    fetch: over as typeof fetch,
    timeoutMs: WITHIN_MS,
  });
}

/** What a call came to, or a CliError whose exit code says what kind of failure it was. */
export async function explained<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // Nobody answered: the sentence of the connection says more.
    if (error.cause instanceof CliError) throw error.cause;
    throw new CliError(error.message, exitOf(error.status), { cause: error });
  }
}

export function exitOf(status: number): ExitCode {
  if (status === 401) return EXIT.notSignedIn;
  if (status === 404) return EXIT.notFound;
  if (status === 0 || status === 502 || status === 503 || status === 504) return EXIT.unreachable;
  return EXIT.failed;
}
