import { randomBytes } from 'node:crypto';
import { ChannelKeeper, TunnelError } from '@burrow/tunnel';
import type { AgentConfig } from './config/config.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { systemClock, type Clock } from './links/clock.ts';
import { LinkPool } from './links/pool.ts';
import { openRawSocket } from '@burrow/outbound';
import { loadTunnelDial, TransportChooser, type LoadDial } from './links/transports.ts';
import type { Log } from './log.ts';
import { createSshService } from './ssh/service.ts';
import { listeningPorts } from './targets/listening-ports.ts';
import { Targets } from './targets/targets.ts';
import { SOFTWARE } from './version.ts';

export interface AgentParts {
  readonly log: Log;
  readonly loadDial?: LoadDial;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** One dial: connecting, TLS, HTTP/2 and `Welcome`. */
const DIAL_TIMEOUT_MS = 10_000;
/** A channel that was on its way when we said Drain gets so long to arrive. */
const DRAIN_GRACE_MS = 100;

export interface Agent {
  /** Settles when the agent has ended, by `drain`, `stop` or the relay's final word. */
  readonly ended: Promise<ExitCode>;
  /** Ends in order: nothing new, waits for channels within the configured time. Idempotent. */
  drain(reason: string): void;
  /** Ends now. Idempotent. */
  stop(): void;
}

/** Composition root: links on one side, targets on the other. */
export function startAgent(config: AgentConfig, parts: AgentParts): Agent {
  const { log, clock = systemClock, random = Math.random } = parts;
  let workload = '';
  const ssh = createSshService(config, log, () => workload);
  const targets = new Targets(config, log, ssh);
  const chooser = new TransportChooser(config.transport, parts.loadDial ?? loadTunnelDial, () =>
    clock.now(),
  );
  const { proxy } = config;
  const instanceId = randomBytes(16).toString('hex');

  const keeper = new ChannelKeeper({
    onParked: ({ uid }, { message }) => log.info('channel-parked', { channel: uid, message }),
    onResumed: ({ uid }, afterMs) =>
      log.info('channel-resumed', { channel: uid, afterMs: Math.round(afterMs) }),
  });

  let settle: (code: ExitCode) => void = () => {};
  const ended = new Promise<ExitCode>((resolve) => (settle = resolve));
  const drainAbort = new AbortController();
  let draining = false;

  const pool = new LinkPool({
    log,
    clock,
    random,
    minLinks: config.minLinks,
    maxLinks: config.maxLinks,
    onChannel: (channel) => targets.connect(channel),
    onFatal: (error) => {
      log.error('refused', { code: error.code, message: error.message });
      finish(exitCodeOf(error));
    },
    dial: async (handler, signal) => {
      const bound = () => AbortSignal.any([signal, AbortSignal.timeout(DIAL_TIMEOUT_MS)]);
      const dialled = await chooser.dial(
        {
          url: config.relayUrl,
          token: config.token,
          hello: {
            instanceId,
            software: SOFTWARE,
            listeningPorts: await listeningPorts((port) => config.allow.has(port)),
            ...(await ssh.hello()),
            label: config.label,
          },
          handler,
          keeper,
          ...(config.ca === undefined ? {} : { ca: config.ca }),
          connect: (connectSignal) =>
            openRawSocket({ url: config.relayUrl, proxy, ca: config.ca, signal: connectSignal }),
          signal: bound(),
        },
        (reason) =>
          log.warn('fallback', { to: 'websocket', code: reason.code, message: reason.message }),
        bound,
      );
      workload = dialled.welcome.workload;
      return dialled;
    },
  });

  function finish(code: ExitCode): void {
    draining = true;
    ssh.stop();
    const stopped = new TunnelError('agent-gone', 'The agent was stopped');
    pool.stop(stopped);
    keeper.stop(stopped);
    drainAbort.abort(new Error('stopped'));
    settle(code);
  }

  async function drain(reason: string): Promise<void> {
    if (draining) return;
    draining = true;
    log.info('drain', {
      message: reason,
      channels: targets.active,
      timeoutMs: config.drainTimeoutMs,
    });
    pool.drain(config.drainTimeoutMs, reason);
    const cancelBound = clock.after(config.drainTimeoutMs, () =>
      drainAbort.abort(new Error('drain timeout')),
    );
    await new Promise<void>((resolve) =>
      clock.after(Math.min(DRAIN_GRACE_MS, config.drainTimeoutMs), resolve),
    );
    await targets.idle(drainAbort.signal).catch(() => {
      log.warn('drain-cut', {
        channels: targets.active,
        message: 'Channels were still open when time was up',
      });
    });
    cancelBound();
    finish(EXIT.ok);
  }

  log.info('start', {
    version: SOFTWARE,
    node: process.versions.node,
    relay: config.relayUrl.origin,
    proxy: proxy?.host,
    allow: config.allow.toString(),
    transport: config.transport,
  });
  for (const warning of config.warnings) log.warn('config', { message: warning });
  pool.start();
  return {
    ended,
    drain: (reason) => void drain(reason),
    stop: () => finish(EXIT.ok),
  };
}

function exitCodeOf(error: TunnelError): ExitCode {
  if (error.code === 'token-unknown') return EXIT.tokenUnknown;
  return error.code === 'token-revoked' ? EXIT.tokenRevoked : EXIT.badConfig;
}
