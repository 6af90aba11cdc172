import type { HelloInfo, Channel } from '@burrow/tunnel';
import type { AgentConfig } from '../config/config.ts';
import type { Log } from '../log.ts';
import { SOFTWARE } from '../version.ts';
import type { WorkloadHostKey } from './workload-host-key.ts';

type SshFacts = Pick<HelloInfo, 'sshHostKey' | 'sshServer' | 'sshUser'>;

/** What answers channels to the target `ssh`. */
export type SshService = {
  /** What the relay is told of it. Never rejects: without a key there is no SSH. */
  hello(): Promise<SshFacts>;
  /** Ends every connection of the built-in server. Idempotent. */
  stop(): void;
} & (
  | { readonly kind: 'none' }
  /** Loopback port of an sshd. */
  | { readonly kind: 'sshd'; readonly port: number }
  | {
      readonly kind: 'built-in';
      /** `onDone` is called once, when nothing of the channel is left. */
      serve(channel: Channel, onDone: () => void): void;
    }
);

const NONE: SshFacts = { sshHostKey: '', sshServer: 'none', sshUser: '' };

/**
 * The SSH of the workload, as configured. The SSH library is loaded when the
 * first connection comes, and at the very first start to make the host key.
 */
export function createSshService(
  config: Pick<
    AgentConfig,
    | 'ssh'
    | 'sshDirectory'
    | 'sshHostKey'
    | 'sshForward'
    | 'sshdPort'
    | 'sshdUser'
    | 'allow'
    | 'allowUnix'
  >,
  log: Log,
  workload: () => string,
): SshService {
  if (config.ssh === 'off') return { kind: 'none', hello: async () => NONE, stop() {} };
  if (config.ssh === 'sshd') {
    const facts = once(async () => {
      const { sshdFacts } = await import('./sshd-facts.ts');
      return sshdFacts(config, log);
    });
    return { kind: 'sshd', port: config.sshdPort, hello: facts, stop() {} };
  }

  const hostKey = once(async (): Promise<WorkloadHostKey> => {
    const { workloadHostKey } = await import('./workload-host-key.ts');
    return workloadHostKey(config.sshHostKey, log);
  });
  let stopped = false;
  let running: { stop(): void } | undefined;
  const server = once(async () => {
    const [{ SshServer }, { serveSftp }, { PortRanges }, key] = await Promise.all([
      import('./server.ts'),
      import('./sftp/index.ts'),
      import('../config/port-ranges.ts'),
      hostKey(),
    ]);
    const { sshForward } = config;
    const nothing = PortRanges.parse('none');
    const allow = sshForward === 'none' ? nothing : config.allow;
    const made = new SshServer({
      hostKey: await key.load(),
      software: SOFTWARE.replaceAll(/[^\w.]/g, '_'),
      directory: config.sshDirectory,
      policy: {
        mayReach: (port) => sshForward === 'anywhere' || allow.has(port),
        // A session can reach every socket of its user anyway; this is for `-L` and `-R` of them.
        mayReachPath: () => sshForward !== 'none',
        anywhere: sshForward === 'anywhere',
      },
      workload,
      serveSftp,
      log: (level, event, fields) => log[level](event, { ...fields }),
    });
    running = made;
    return made;
  });
  return {
    kind: 'built-in',
    hello: async () => {
      try {
        const { publicLine } = await hostKey();
        return { sshHostKey: publicLine, sshServer: 'built-in', sshUser: '' };
      } catch (error) {
        log.error('ssh', { message: `No SSH host key: ${(error as Error).message}` });
        return NONE;
      }
    },
    serve(channel, onDone) {
      if (stopped) {
        channel.setHandler({ onData() {}, onEnd() {}, onClose() {} });
        channel.reset('agent-gone', 'The agent is stopping.');
        return onDone();
      }
      server().then(
        (made) => made.serve(channel, onDone),
        (error: Error) => {
          log.error('ssh', { message: error.message });
          channel.setHandler({ onData() {}, onEnd() {}, onClose() {} });
          channel.reset('internal', `The agent's SSH server could not start: ${error.message}`);
          onDone();
        },
      );
    },
    stop() {
      stopped = true;
      running?.stop();
    },
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
