import type { MessagePort } from 'node:worker_threads';
import { RelayError } from '../errors.ts';
import { lostAccess } from './access-recheck.ts';
import type { FrontOptions } from './front.ts';
import { startThread, type RunningThread } from './gateway-thread.ts';
import { SSH_LIMITS } from './limits.ts';
import { relayAuthority, type AuthorityDeps } from './relay-authority.ts';
import { SENTENCES } from './sentences.ts';
import { SignIns } from './sign-ins.ts';

export interface SshGatewayOptions extends Omit<FrontOptions, 'keysUrl'> {
  /** Where people add keys. Asked at the start: the port may be known late. */
  readonly keysUrl: () => string;
  readonly deps: AuthorityDeps;
  /** Accepts the gateway's link, on which it opens channels for those whom it has let in. */
  readonly admitLink: (port: MessagePort) => void;
  readonly log: {
    info(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

export interface SshGateway {
  /** Rejects with RelayError when the port cannot be had. Resolves with the port. */
  start(): Promise<number>;
  /** For connections from now on: the first of each kind is used, all are made known. Secret. */
  setHostKeys(hostKeys: readonly string[]): void;
  /** People signed in now. */
  readonly signedIn: number;
  /** False while its thread is being started again. */
  readonly listening: boolean;
  stopAccepting(): Promise<void>;
  /** Ends every connection, telling why. Idempotent. */
  stop(): Promise<void>;
}

/**
 * The SSH gateway: its port and all SSH cryptography are in a thread of their
 * own; this side answers its questions and takes away what was revoked. A
 * thread that fails takes its connections with it, and is started again.
 */
export function createSshGateway(options: SshGatewayOptions): SshGateway {
  const { deps, admitLink, log, keysUrl, ...front } = options;
  const signIns = new SignIns(deps.now);
  const authority = relayAuthority(deps, signIns);
  let thread: RunningThread | undefined;
  let timer: NodeJS.Timeout | undefined;
  let restart: NodeJS.Timeout | undefined;
  let looking = false;
  let { hostKeys } = front;
  let stopping: Promise<void> | undefined;

  async function run(port: number): Promise<number> {
    const running = await startThread(
      { ...front, hostKeys, port, keysUrl: keysUrl() },
      authority,
      admitLink,
    );
    if (stopping !== undefined) {
      await running.terminate();
      return running.port;
    }
    thread = running;
    void running.ended.then((error) => {
      thread = undefined;
      if (stopping !== undefined) return;
      log.error({ err: error }, 'the SSH gateway has failed; it is started again');
      for (const { id } of signIns.all()) void authority.ended(id);
      runAgain(running.port);
    });
    return running.port;
  }

  function runAgain(port: number): void {
    restart = setTimeout(() => {
      run(port).then(
        () => log.info({ port }, 'the SSH gateway listens again'),
        (error: Error) => {
          log.error({ err: error }, 'the SSH gateway could not be started again');
          runAgain(port);
        },
      );
    }, SSH_LIMITS.restartMs);
  }

  async function recheck(): Promise<void> {
    if (looking || signIns.size === 0) return;
    looking = true;
    try {
      for (const { signIn, sentence } of await lostAccess(deps, signIns)) {
        deps.audit({
          action: 'ssh.session-cut',
          outcome: 'refused',
          userId: signIn.principal.userId,
          username: signIn.principal.username,
          ...(signIn.workspace === undefined ? {} : { workspace: signIn.workspace }),
          address: signIn.origin.address,
          detail: sentence,
        });
        await thread?.calls.cut(signIn.id, sentence);
      }
    } catch (error) {
      log.error({ err: error }, 'live SSH sign-ins could not be checked');
    } finally {
      looking = false;
    }
  }

  async function stop(): Promise<void> {
    clearInterval(timer);
    clearTimeout(restart);
    await thread?.calls.stop(SENTENCES.relayStops).catch(() => {});
    await thread?.terminate();
  }

  return {
    async start() {
      try {
        const port = await run(front.port);
        timer = setInterval(() => void recheck(), SSH_LIMITS.recheckMs);
        timer.unref();
        return port;
      } catch (error) {
        throw new RelayError(
          'config-invalid',
          `cannot listen for SSH on ${front.host}:${front.port}: ${(error as Error).message}; set ssh.port (npm start: --ssh-port) to another one`,
          { cause: error },
        );
      }
    },
    setHostKeys(changed) {
      hostKeys = changed;
      // A thread that is just being started again has them by then.
      void thread?.calls.setHostKeys(changed).catch(() => {});
    },
    get signedIn() {
      return signIns.size;
    },
    get listening() {
      return thread !== undefined;
    },
    async stopAccepting() {
      await thread?.calls.stopAccepting().catch(() => {});
    },
    stop: () => (stopping ??= stop()),
  };
}
