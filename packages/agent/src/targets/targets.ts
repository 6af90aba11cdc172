import type { Channel } from '@burrow/tunnel';
import type { Log } from '../log.ts';
import type { SshService } from '../ssh/service.ts';
import { refusal, type TargetPolicy } from './policy.ts';
import { SocketTarget, type Candidate, type Outcome } from './socket-target.ts';

/** Connects the channels that arrive on any link to their targets, and counts them. */
export class Targets {
  readonly #policy: TargetPolicy;
  readonly #log: Log;
  readonly #ssh: SshService;
  #active = 0;
  readonly #waiting = new Set<() => void>();

  constructor(policy: TargetPolicy, log: Log, ssh: SshService) {
    this.#policy = policy;
    this.#ssh = ssh;
    this.#log = log;
  }

  /** Channels, and sockets that still drain for them. */
  get active(): number {
    return this.#active;
  }

  connect(channel: Channel): void {
    const { target } = channel;
    const reason = refusal(target, this.#policy);
    if (reason !== undefined) {
      this.#refuse(channel, 'not-allowed', reason);
    } else if (target.kind === 'tcp') {
      this.#open(channel, loopback(target.port), `port ${target.port}`);
    } else if (target.kind === 'unix') {
      this.#open(channel, [{ path: target.path }], `the socket ${target.path}`);
    } else if (target.kind === 'ssh') {
      this.#connectSsh(channel);
    } else {
      this.#refuse(channel, 'unsupported', `This agent has no ${target.kind} target yet`);
    }
  }

  /** Resolves once nothing is active, or rejects with the signal's reason. */
  idle(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#active === 0) return resolve();
      if (signal.aborted) return reject(signal.reason as Error);
      const stop = () => {
        this.#waiting.delete(onIdle);
        signal.removeEventListener('abort', onAbort);
      };
      const onIdle = () => (stop(), resolve());
      const onAbort = () => (stop(), reject(signal.reason as Error));
      this.#waiting.add(onIdle);
      signal.addEventListener('abort', onAbort);
    });
  }

  #connectSsh(channel: Channel): void {
    if (this.#ssh.kind === 'none') {
      this.#refuse(channel, 'unsupported', 'This agent offers no SSH: BURROW_AGENT_SSH is off');
    } else if (this.#ssh.kind === 'sshd') {
      this.#open(channel, loopback(this.#ssh.port), `the sshd on port ${this.#ssh.port}`);
    } else {
      this.#active += 1;
      this.#ssh.serve(channel, () => this.#done(channel));
    }
  }

  #open(channel: Channel, candidates: readonly Candidate[], name: string): void {
    this.#active += 1;
    this.#log.debug('channel', {
      channel: channel.uid,
      user: channel.principal.username,
      to: name,
    });
    const target = new SocketTarget(channel, {
      candidates,
      name,
      onDone: (outcome) => this.#onDone(channel, outcome),
    });
    channel.setHandler(target);
    target.start();
  }

  #onDone(channel: Channel, outcome: Outcome): void {
    if (outcome.refused) this.#logRefusal(channel, outcome.refused.code, outcome.refused.reason);
    this.#done(channel);
  }

  #done(channel: Channel): void {
    this.#active -= 1;
    this.#log.debug('channel-done', { channel: channel.uid });
    if (this.#active === 0) for (const wake of this.#waiting) wake();
  }

  #refuse(channel: Channel, code: 'not-allowed' | 'unsupported', reason: string): void {
    channel.setHandler(IGNORE);
    channel.reset(code, reason);
    this.#logRefusal(channel, code, reason);
  }

  #logRefusal(channel: Channel, code: string, message: string): void {
    // A page that polls a port on which nothing listens yet is no event for an operator.
    const level = code === 'nothing-listens' ? 'debug' : 'warn';
    const { username } = channel.principal;
    this.#log[level]('channel-refused', { channel: channel.uid, user: username, code, message });
  }
}

const IGNORE = { onData() {}, onEnd() {}, onClose() {} };

/** IPv4 first: that is where most apps listen. Only loopback, whatever was asked. */
function loopback(port: number): readonly Candidate[] {
  return [
    { host: '127.0.0.1', port },
    { host: '::1', port },
  ];
}
