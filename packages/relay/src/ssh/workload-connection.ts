import { createResumer, type Link, type Resumer } from '@burrow/tunnel';
import { channelToDuplex } from '@burrow/tunnel/node';
import {
  certificateSignIn,
  CLIENT_ALGORITHMS,
  onMessage,
  SERVER_ALGORITHMS,
  tune,
  type HostKey,
} from '@burrow/ssh';
import ssh2 from 'ssh2';
import type { Destination, SignedIn } from './authority.ts';
import { SENTENCES } from './sentences.ts';
import { SSH_LIMITS } from './limits.ts';

/** The gateway's own leg: signed in at the workload's SSH server. */
export interface WorkloadConnection {
  readonly connection: InstanceType<typeof ssh2.Client>;
  /** Takes what the workload sends from now on; what came before was dropped (nothing that matters does). */
  onMessage: ((payload: Buffer) => boolean) | undefined;
  /** Settles when it ends: with the reason, if there is one to tell. */
  readonly ended: Promise<Error | undefined>;
  end(): void;
}

export interface WorkloadOptions {
  readonly link: Link;
  readonly to: Destination;
  readonly person: SignedIn;
  /** The gateway's own key, made at its start. */
  readonly key: HostKey;
  /** For an sshd: OpenSSH certificate of that key, one line. */
  readonly certificate: string | undefined;
  readonly signal: AbortSignal;
}

/** Rejects with a sentence for the person. */
export function connectWorkload(options: WorkloadOptions): Promise<WorkloadConnection> {
  const { link, to, person, key, signal } = options;
  const stream = channelToDuplex(openSsh(link, to.workspace, person, [key.fingerprint]));
  // SSH knows no half-closed transport: whoever ends it is gone.
  stream.once('end', () => stream.end());
  const connection = new ssh2.Client();
  const made: WorkloadConnection = {
    connection,
    onMessage: undefined,
    ended: new Promise((resolve) => {
      let reason: Error | undefined;
      stream.on('error', (error: Error) => (reason ??= error));
      connection.on('error', (error: Error) => (reason ??= error));
      connection.on('close', () => resolve(reason));
      stream.on('close', () => resolve(reason));
    }),
    end() {
      connection.end();
      stream.destroy();
    },
  };
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => fail(new Error('its SSH server did not answer in time.')),
      SSH_LIMITS.reachMs,
    );
    let otherKey = false;
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: Error): void => {
      settle();
      made.end();
      reject(
        new Error(
          otherKey
            ? SENTENCES.hostKey(to.workspace)
            : SENTENCES.unreachable(to.workspace, error.message),
          { cause: error },
        ),
      );
    };
    const onAbort = (): void => fail(new Error('the client has gone.'));
    signal.addEventListener('abort', onAbort, { once: true });
    void made.ended.then((error) => fail(error ?? new Error('its SSH server hung up.')));
    connection.on('ready', () => {
      settle();
      resolve(made);
    });
    connection.connect({
      sock: stream,
      username: to.server === 'sshd' ? to.user : person.username,
      ...(options.certificate === undefined
        ? { privateKey: key.privateKey }
        : { authHandler: certificateSignIn(connection, to.user, key, options.certificate) }),
      hostVerifier: (blob: Buffer) => {
        otherKey = blob.toString('base64') !== to.hostKey.split(' ')[1];
        return !otherKey;
      },
      algorithms: { ...(to.server === 'sshd' ? SERVER_ALGORITHMS : CLIENT_ALGORITHMS) },
      readyTimeout: 0,
      keepaliveInterval: 0,
    });
    tune(connection);
    onMessage(connection, (payload) => {
      const type = payload[0] ?? 0;
      return type >= 80 && type < 128 && (made.onMessage?.(payload) ?? true);
    });
    if (signal.aborted) onAbort();
  });
}

const resumers = new WeakMap<Link, Resumer>();

/** The link leads to the relay's own switch: whatever is lost is lost behind it, and is found again through it. */
function resumerOver(link: Link): Resumer {
  let resumer = resumers.get(link);
  if (resumer === undefined) {
    resumer = createResumer({ findLink: async () => link });
    resumers.set(link, resumer);
  }
  return resumer;
}

/** A channel to the workload's SSH server, which admits the keys named here. */
export function openSsh(
  link: Link,
  workspace: string,
  person: SignedIn,
  authorizedKeys: readonly string[],
): ReturnType<Link['open']> {
  return link.open(
    {
      workload: workspace,
      target: { kind: 'ssh', authorizedKeys },
      principal: { userId: person.userId, username: person.username },
      resumer: resumerOver(link),
    },
    { onData() {}, onEnd() {}, onClose() {} },
  );
}
