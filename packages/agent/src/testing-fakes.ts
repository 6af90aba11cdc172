// Fakes for this package's tests: a channel and a link without a wire, and a clock that only tests move.
import type {
  Channel,
  ChannelErrorCode,
  ChannelHandler,
  Link,
  LinkStats,
  Target,
  TunnelError,
  WelcomeInfo,
} from '@burrow/tunnel';
import type { Clock } from './links/clock.ts';
import type { Log, LogFields } from './log.ts';

export class FakeLink implements Link {
  readonly id = 'fake';
  closed = false;
  readonly resumes = false;
  draining = false;
  drains: string[] = [];
  closeError: TunnelError | undefined;
  stats: LinkStats = {
    channels: 0,
    bytesIn: 0,
    bytesOut: 0,
    queuedBytes: 0,
    stalls: 0,
    rttMs: undefined,
    bulk: false,
    silent: false,
  };
  onClose: (error: TunnelError) => void = () => {};

  resume(): void {}
  open(): Channel {
    throw new Error('agents open nothing');
  }
  drain(_deadlineMs: number, reason: string): void {
    this.draining = true;
    this.drains.push(reason);
  }
  close(error: TunnelError): void {
    if (this.closed) return;
    this.closed = true;
    this.closeError = error;
    this.onClose(error);
  }
}

export class FakeChannel implements Channel {
  readonly uid = '00'.repeat(16);
  readonly principal = { userId: 'u1', username: 'alice' };
  readonly metadata = {};
  readonly workload = '';
  readonly traffic = 'auto';
  readonly link = new FakeLink();
  readonly target: Target;
  readonly detached = false;
  opened = false;
  closed = false;
  queuedBytes = 0;
  /** What `write` answers. */
  room = true;
  readonly written: Buffer[] = [];
  ended = false;
  consumedBytes = 0;
  resetWith: { code: ChannelErrorCode; reason: string } | undefined;
  handler!: ChannelHandler;
  #watchers: (() => void)[] = [];

  constructor(target: Target) {
    this.target = target;
  }
  setHandler(handler: ChannelHandler): void {
    this.handler = handler;
  }
  setTraffic(): void {}
  accept(): void {
    this.opened = true;
    this.#changed();
  }
  write(chunk: Uint8Array): boolean {
    if (this.ended || this.closed) return false;
    this.written.push(chunk as Buffer);
    this.#changed();
    return this.room;
  }
  end(): void {
    this.ended = true;
    this.#changed();
  }
  reset(code: ChannelErrorCode, reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.resetWith = { code, reason };
    this.#changed();
  }
  consumed(bytes: number): void {
    this.consumedBytes += bytes;
    this.#changed();
  }

  /** The other side's doing. */
  close(error?: TunnelError): void {
    this.closed = true;
    this.handler.onClose(error);
  }
  get text(): string {
    return Buffer.concat(this.written).toString();
  }
  /** Resolves once the condition holds after some call on the channel. */
  async until(condition: (channel: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }
  #changed(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const wake of watchers) wake();
  }
}

/** Time stands still until `advance`. */
export class FakeClock implements Clock {
  #now = 1_000_000;
  #timers: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }
  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }
  get pending(): number {
    return this.#timers.length;
  }
  /** Runs what falls due, in order, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await settled();
    }
    this.#now = end;
    await settled();
  }
}

/** Lets every promise that can settle now do so. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

export interface Logged {
  readonly level: string;
  readonly event: string;
  readonly fields: LogFields;
}

export function memoryLog(): Log & { readonly lines: Logged[] } {
  const lines: Logged[] = [];
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}) =>
      void lines.push({ level, event, fields });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export function fakeWelcome(overrides: Partial<WelcomeInfo> = {}): WelcomeInfo {
  return {
    revision: 1,
    relayId: 'relay-1',
    relayIncarnation: 'a',
    software: 'burrow-relay/0',
    capabilities: [],
    clusterSize: 1,
    pingAfterMs: 8_000,
    pongWithinMs: 5000,
    maxChannels: 1000,
    workload: 'demo',
    minLinks: 2,
    maxLinks: 4,
    ...overrides,
  };
}
