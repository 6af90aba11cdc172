import { TunnelError } from '../errors.ts';
import type { Frame } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import { HELLO_TIMEOUT_MS, INITIAL_WINDOW_BYTES, MIN_REVISION, REVISION } from '../limits.ts';
import type { Transport } from '../transport.ts';
import type { AcceptedLink, AcceptOptions, DialledLink, DialOptions } from '../types.ts';
import { helloFromWire, sshServerToWire, welcomeFromWire } from '../wire/messages.ts';
import { LinkCore } from './link.ts';

/** What this revision of the package can do beyond the base protocol. */
const CAPABILITIES: readonly string[] = ['resume', 'first-window'];

/** Sends Hello, waits for Welcome. Rejects with TunnelError when the relay refuses, or with the signal's reason. */
export function greetAsDialler(
  transport: Transport,
  options: Pick<DialOptions, 'hello' | 'handler' | 'signal' | 'keeper'>,
): Promise<DialledLink> {
  const { hello, handler, signal } = options;
  return new Promise((resolve, reject) => {
    const link = new LinkCore(transport, {
      dialler: true,
      ...(options.keeper === undefined ? {} : { keeper: options.keeper }),
      onRefused: (error) => {
        signal.removeEventListener('abort', onAbort);
        reject(error);
      },
    });
    const onAbort = (): void => {
      reject(signal.reason);
      link.close(new TunnelError('cancelled', 'Dialling was given up.', { cause: signal.reason }));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    link.greet(
      (kind) => {
        if (kind.case !== 'welcome') throw unexpected('Welcome', kind);
        const welcome = welcomeFromWire(kind.value);
        if (welcome.revision < MIN_REVISION || welcome.revision > REVISION) {
          throw new TunnelError(
            'unsupported-revision',
            `The relay chose protocol revision ${welcome.revision}, which is not spoken here.`,
          );
        }
        signal.removeEventListener('abort', onAbort);
        const firstWindow = welcome.firstWindow || INITIAL_WINDOW_BYTES;
        link.established(handler, welcome, {
          resumes: welcome.capabilities.includes('resume'),
          maySend: Math.min(firstWindow, INITIAL_WINDOW_BYTES),
        });
        resolve({ link, welcome });
      },
      {
        case: 'hello',
        value: {
          revision: REVISION,
          minRevision: MIN_REVISION,
          capabilities: [...CAPABILITIES],
          instanceId: Buffer.from(hello.instanceId, 'hex'),
          software: hello.software,
          listeningPorts: [...hello.listeningPorts],
          sshHostKey: hello.sshHostKey,
          sshServer: sshServerToWire(hello.sshServer),
          sshUser: hello.sshUser,
          label: hello.label,
        },
      },
    );
    if (signal.aborted) onAbort();
  });
}

/**
 * Waits for Hello, answers Welcome. Resolves to undefined when the link was
 * refused or lost; the transport has then told the dialler why.
 */
export function greetAsAcceptor(
  transport: Transport,
  options: AcceptOptions,
): Promise<AcceptedLink | undefined> {
  return new Promise((resolve) => {
    const link = new LinkCore(transport, {
      dialler: false,
      onRefused: () => {
        clearTimeout(timer);
        resolve(undefined);
      },
      ...(options.maxOpensPerSecond === undefined
        ? {}
        : { maxOpensPerSecond: options.maxOpensPerSecond }),
    });
    const timer = setTimeout(() => {
      link.close(new TunnelError('timed-out', 'No Hello came in time.'));
    }, options.helloTimeoutMs ?? HELLO_TIMEOUT_MS);
    link.greet((kind) => {
      if (kind.case !== 'hello') throw unexpected('Hello', kind);
      clearTimeout(timer);
      const hello = helloFromWire(kind.value);
      // Until Welcome is out, whatever else comes is a fault.
      link.greet((next) => {
        throw unexpected('nothing before Welcome', next);
      });
      void answer(link, hello);
    });

    async function answer(core: LinkCore, hello: AcceptedLink['hello']): Promise<void> {
      try {
        const revision = Math.min(hello.revision, REVISION);
        if (revision < MIN_REVISION || revision < hello.minRevision) {
          throw new TunnelError(
            'unsupported-revision',
            `This relay speaks protocol revisions ${MIN_REVISION} to ${REVISION}, the dialler ${hello.minRevision} to ${hello.revision}.`,
          );
        }
        const welcome = await options.welcome(hello);
        if (core.closed) return;
        const heeds = hello.capabilities.includes('first-window');
        core.established(
          options.handler,
          welcome,
          {
            resumes: hello.capabilities.includes('resume'),
            mayReceive: (heeds && welcome.firstWindow) || INITIAL_WINDOW_BYTES,
          },
          {
            case: 'welcome',
            value: { ...welcome, revision, capabilities: [...CAPABILITIES] },
          },
        );
        resolve({ link: core, hello });
      } catch (cause) {
        core.close(
          cause instanceof TunnelError
            ? cause
            : new TunnelError('unavailable', 'The relay could not accept the link.', { cause }),
        );
      }
    }
  });
}

function unexpected(wanted: string, got: Frame['kind']): TunnelError {
  return new TunnelError(
    'protocol-error',
    `The peer sent ${got.case ?? 'an unknown frame'} where ${wanted} was due.`,
  );
}
