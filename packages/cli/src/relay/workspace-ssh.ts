import { CliError, EXIT } from '../cli-error.ts';
import type { Settings } from '../settings/settings.ts';
import { ask } from './http.ts';

const WITHIN_MS = 10_000;
/** `ssh-ed25519 AAAA…`, as it goes into a known_hosts file. */
const KEY = /^[a-z0-9@.-]{1,64} [A-Za-z0-9+/]{16,4096}={0,2}$/;

/** What the API says of a workspace's SSH. */
interface View {
  readonly ssh?: { readonly hostKey?: unknown; readonly server?: unknown };
}

interface Failure {
  readonly error?: { readonly message?: unknown };
}

/**
 * The host key that the workspace reported over its agent's link, as one line. Read by
 * hand, as every connection waits for it: the API's own client loads half of a schema
 * library. Rejects with CliError.
 */
export async function hostKeyOf(settings: Settings, workspace: string): Promise<string> {
  const { status, text } = await ask(settings, `/api/v1/workspaces/${workspace}`, {
    headers: { authorization: `Bearer ${settings.token}`, accept: 'application/json' },
    signal: AbortSignal.timeout(WITHIN_MS),
  });
  const body = parse(text);
  if (status !== 200 || body === undefined) throw refused(status, body as Failure | undefined);
  const key = (body as View).ssh?.hostKey;
  if (typeof key === 'string' && KEY.test(key)) return key;
  throw new CliError(
    `The workspace “${workspace}” has not reported an SSH host key yet: it has no SSH server, its agent is of an older version, or it has never connected.`,
    EXIT.unreachable,
  );
}

function refused(status: number, body: Failure | undefined): CliError {
  const message = body?.error?.message;
  if (typeof message !== 'string') {
    return new CliError(
      `The answer (HTTP ${status}) did not come from a Burrow relay: check its URL, and any proxy before it.`,
      EXIT.unreachable,
    );
  }
  const exit =
    status === 401 ? EXIT.notSignedIn : status === 404 ? EXIT.notFound : EXIT.unreachable;
  return new CliError(message, exit);
}

function parse(text: string): object | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}
