import { CliError, EXIT } from '../cli-error.ts';
import type { Settings } from '../settings/settings.ts';
import { ask } from './http.ts';

const WITHIN_MS = 10_000;
/** `ssh-ed25519 AAAA…`, as it goes into a known_hosts file. */
const KEY = /^[a-z0-9@.-]{1,64} [A-Za-z0-9+/]{16,4096}={0,2}$/;

/** How a workspace is reached by SSH. */
export interface WorkspaceSsh {
  /** One line, `ssh-ed25519 AAAA…`: what it has reported over its agent's link. */
  readonly hostKey: string;
  /** Set for a real sshd, which admits certificates: whom it runs sessions as. */
  readonly sshdUser: string | undefined;
}

/** What the API says of a workspace's SSH. */
interface View {
  readonly ssh?: { readonly hostKey?: unknown; readonly server?: unknown; readonly user?: unknown };
}

interface Failure {
  readonly error?: { readonly message?: unknown };
}

/**
 * Read by hand, as every connection waits for it: the API's own client loads a
 * schema library. Rejects with CliError.
 */
export async function workspaceSsh(settings: Settings, workspace: string): Promise<WorkspaceSsh> {
  const { ssh } = (await call(settings, 'GET', `/api/v1/workspaces/${workspace}`)) as View;
  const { hostKey, server, user } = ssh ?? {};
  if (typeof hostKey !== 'string' || !KEY.test(hostKey)) {
    throw new CliError(
      `The workspace “${workspace}” has not reported an SSH host key yet: it has no SSH server, its agent is of an older version, or it has never connected.`,
      EXIT.unreachable,
    );
  }
  const sshdUser = server === 'sshd' && typeof user === 'string' ? user : undefined;
  return { hostKey, sshdUser };
}

/** A certificate by which a workspace's sshd admits this key for some minutes: one line. Rejects with CliError. */
export async function certify(
  settings: Settings,
  workspace: string,
  publicKey: string,
): Promise<string> {
  const made = await call(settings, 'POST', `/api/v1/workspaces/${workspace}/ssh-certificate`, {
    publicKey,
  });
  const { certificate } = made as { readonly certificate?: unknown };
  if (typeof certificate === 'string' && !certificate.includes('\n')) return certificate;
  throw new CliError('The relay gave no certificate for the workspace’s sshd.', EXIT.unreachable);
}

async function call(
  settings: Settings,
  method: string,
  path: string,
  body?: object,
): Promise<object> {
  const { status, text } = await ask(settings, path, {
    method,
    headers: {
      authorization: `Bearer ${settings.token}`,
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(WITHIN_MS),
  });
  const answer = parse(text);
  if (status < 200 || status > 299 || answer === undefined) throw refused(status, answer);
  return answer;
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
