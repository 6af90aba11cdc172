import { once } from 'node:events';
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import { RelayError } from '../errors.ts';
import { lostAccess } from './access-recheck.ts';
import type { SshGatewayThread } from './authority.ts';
import { connectThreads } from './calls.ts';
import type { FrontOptions } from './front.ts';
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
  /** People signed in now. */
  readonly signedIn: number;
  stopAccepting(): Promise<void>;
  /** Ends every connection, telling why. Idempotent. */
  stop(): Promise<void>;
}

/**
 * The SSH gateway: its port and all SSH cryptography are in a thread of their
 * own; this side answers its questions and takes away what was revoked.
 */
export function createSshGateway(options: SshGatewayOptions): SshGateway {
  const { deps, admitLink, log, keysUrl, ...front } = options;
  const signIns = new SignIns(deps.now);
  let worker: Worker | undefined;
  let thread: SshGatewayThread | undefined;
  let timer: NodeJS.Timeout | undefined;
  let looking = false;
  let stopping: Promise<void> | undefined;

  async function start(): Promise<number> {
    const calls = new MessageChannel();
    const link = new MessageChannel();
    worker = new Worker(new URL('worker.ts', import.meta.url), {
      workerData: {
        options: { ...front, keysUrl: keysUrl() },
        calls: calls.port2,
        link: link.port2,
      },
      transferList: [calls.port2, link.port2],
    });
    admitLink(link.port1);
    const failed = once(worker, 'error').then(([error]) => {
      throw error as Error;
    });
    failed.catch((error: Error) => {
      if (stopping === undefined) log.error({ err: error }, 'the SSH gateway has failed');
    });
    thread = connectThreads<SshGatewayThread>(calls.port1, relayAuthority(deps, signIns));
    await Promise.race([once(worker, 'message'), failed]);
    try {
      const port = await Promise.race([thread.listen(), failed]);
      timer = setInterval(() => void recheck(), SSH_LIMITS.recheckMs);
      timer.unref();
      return port;
    } catch (error) {
      await stop();
      throw new RelayError(
        'config-invalid',
        `cannot listen for SSH on ${front.host}:${front.port}: ${(error as Error).message}; set ssh.port (npm start: --ssh-port) to another one`,
        { cause: error },
      );
    }
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
        await thread?.cut(signIn.id, sentence);
      }
    } catch (error) {
      log.error({ err: error }, 'live SSH sign-ins could not be checked');
    } finally {
      looking = false;
    }
  }

  async function stop(): Promise<void> {
    clearInterval(timer);
    await thread?.stop(SENTENCES.relayStops).catch(() => {});
    await worker?.terminate();
  }

  return {
    start,
    get signedIn() {
      return signIns.size;
    },
    async stopAccepting() {
      await thread?.stopAccepting().catch(() => {});
    },
    stop: () => (stopping ??= stop()),
  };
}
