import {
  TunnelError,
  type AcceptOptions,
  type HelloInfo,
  type Link,
  type TunnelErrorCode,
  type WelcomeInfo,
} from '@burrow/tunnel';
import type { AgentDirectory, AuthenticatedAgent } from '../control/directory.ts';
import type { LinkRegistry } from '../routing/router.ts';
import type { Admission, Incoming, Transport } from './admission.ts';
import { AgentTable } from './agents.ts';
import { checkToken } from './check-token.ts';

export interface LinksOptions {
  readonly directory: AgentDirectory;
  readonly registry: LinkRegistry;
  readonly relay: Pick<WelcomeInfo, 'relayId' | 'relayIncarnation' | 'software'>;
  readonly limits: LinksLimits;
  /** Live relays; default 1. */
  readonly clusterSize?: () => number;
  readonly log: LinksLog;
  readonly observer?: LinksObserver;
  readonly now?: () => number;
}

export interface LinksLimits {
  readonly pingAfterMs: number;
  readonly pongWithinMs: number;
  readonly minLinks: number;
  readonly maxLinks: number;
  readonly maxLinksPerAgent: number;
  readonly maxChannelsPerLink: number;
  readonly maxConnectsPerMinute: number;
  readonly helloTimeoutMs: number;
  readonly maxPendingLinks: number;
  /** The directory's answer to one token. */
  readonly authenticateWithinMs: number;
  readonly renewEveryMs: number;
  /** Takes links that others on the way can read. */
  readonly allowPlaintext: boolean;
}

export interface LinksLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface LinksObserver {
  linkOpened(transport: Transport): void;
  linkClosed(link: Link, code: TunnelErrorCode): void;
  linkRefused(code: TunnelErrorCode): void;
  /** From `Open` to `Opened`. */
  channelConnected(seconds: number): void;
}

export interface Links extends Admission {
  start(): void;
  /** Refuses new links from now on; connected ones serve on. */
  refuseNew(): void;
  /** Refuses new links and asks agents to leave within `graceMs`: nothing new is opened on their links. Idempotent. */
  drain(graceMs: number): void;
  /** Cuts what is left and stops the timer. Idempotent. */
  stop(): Promise<void>;
  all(): IterableIterator<Link>;
}

/** A link on its way in: which agents were revoked meanwhile, also before it is known whose it is. */
interface Handshake {
  readonly revoked: Map<string, string>;
}

/** Agents in one renewal: keeps the statement small. */
const RENEW_BATCH = 500;

/**
 * The links room: who may connect, for how long, and until when. Knows no wire
 * format: `grpc-endpoint.ts` and `websocket-endpoint.ts` bring links in.
 */
export function createLinks(options: LinksOptions): Links {
  const { directory, registry, limits, log } = options;
  const now = options.now ?? Date.now;
  const agents = new AgentTable(
    { maxLinks: limits.maxLinksPerAgent, maxConnectsPerMinute: limits.maxConnectsPerMinute },
    now,
  );
  /** Handshakes on the way; a revocation in their middle must reach them. */
  const pending = new Set<Handshake>();
  let draining = false;
  let timer: NodeJS.Timeout | undefined;
  let renewing: Promise<void> | undefined;

  const unsubscribe = directory.onRevoked((agentId, reason) => {
    for (const { revoked } of pending) revoked.set(agentId, reason);
    const links = agents.links(agentId);
    for (const link of links) link.close(new TunnelError('token-revoked', reason));
    log.info({ agentId, links: links.length, reason }, 'agent revoked');
  });

  async function admit(incoming: Incoming): Promise<TunnelError | undefined> {
    const handshake: Handshake = { revoked: new Map() };
    let reserved: string | undefined;
    try {
      if (draining) throw drainingError();
      if (incoming.plaintextHost !== undefined && !limits.allowPlaintext) {
        throw new TunnelError(
          'unavailable',
          `This relay takes no agent without TLS under the name ${incoming.plaintextHost}, since anyone on the way could read the agent's token. Use https, or set agents.allowPlaintext on the relay.`,
        );
      }
      if (pending.size >= limits.maxPendingLinks) {
        throw new TunnelError(
          'unavailable',
          'Too many agents are connecting to this relay at once; try again shortly.',
        );
      }
      pending.add(handshake);
      const agent = await authenticate(incoming.token);
      agents.reserve(agent.agentId);
      reserved = agent.agentId;
      await accept(incoming, agent, handshake);
      return undefined;
    } catch (error) {
      const refusal =
        error instanceof TunnelError
          ? error
          : new TunnelError(
              'unavailable',
              'The relay cannot check this agent right now; try again shortly.',
              { cause: error },
            );
      if (!(error instanceof TunnelError)) {
        log.error(
          { error: (error as Error).message, remoteAddress: incoming.remoteAddress },
          'cannot admit a link',
        );
      }
      refused(refusal, incoming, reserved);
      return refusal;
    } finally {
      pending.delete(handshake);
      if (reserved !== undefined) agents.settle(reserved);
    }
  }

  function refused(error: TunnelError, incoming: Incoming, agentId: string | undefined): void {
    options.observer?.linkRefused(error.code);
    log.info(
      {
        agentId,
        code: error.code,
        reason: error.message,
        transport: incoming.transport,
        remoteAddress: incoming.remoteAddress,
      },
      'link refused',
    );
  }

  async function authenticate(token: string | undefined): Promise<AuthenticatedAgent> {
    if (token === undefined) {
      throw new TunnelError(
        'token-malformed',
        'The agent sent no token: metadata `authorization: Bearer <token>` is required.',
      );
    }
    return checkToken(limits.authenticateWithinMs, directory.authenticate(token));
  }

  async function accept(
    incoming: Incoming,
    agent: AuthenticatedAgent,
    handshake: Handshake,
  ): Promise<void> {
    const { agentId } = agent;
    const revoked = (): TunnelError | undefined => {
      const reason = handshake.revoked.get(agentId);
      return reason === undefined ? undefined : new TunnelError('token-revoked', reason);
    };
    /** What the handler learns: it is made before the link. */
    const known: { link?: Link; ended?: boolean } = {};
    const accepted = await incoming.accept({
      helloTimeoutMs: limits.helloTimeoutMs,
      // Agents accept channels and never open them.
      maxOpensPerSecond: 0,
      welcome: (hello) => {
        try {
          if (draining) throw drainingError();
          const gone = revoked();
          if (gone !== undefined) throw gone;
          agents.check(agentId, hello);
        } catch (error) {
          refused(error as TunnelError, incoming, agentId);
          throw error;
        }
        return welcome(agent);
      },
      handler: {
        onChannel: (channel) => channel.reset('not-allowed', 'Agents do not open channels.'),
        onChannelOpened: (waitedMs) => options.observer?.channelConnected(waitedMs / 1000),
        onDrain: (deadlineMs, reason) =>
          log.info({ agentId, link: known.link?.id, deadlineMs, reason }, 'agent drains a link'),
        onClose: (error) => {
          known.ended = true;
          if (known.link !== undefined) closed(agentId, known.link, error);
        },
      },
    });
    if (accepted === undefined || known.ended === true) return;
    const { link } = accepted;
    known.link = link;
    added(incoming, agent, accepted.hello, link);
    // Either may have come between Welcome and now.
    const gone = revoked();
    if (gone !== undefined) link.close(gone);
    else if (draining) link.close(drainingError());
  }

  function welcome(agent: AuthenticatedAgent): ReturnType<AcceptOptions['welcome']> {
    return {
      ...options.relay,
      clusterSize: options.clusterSize?.() ?? 1,
      pingAfterMs: limits.pingAfterMs,
      pongWithinMs: limits.pongWithinMs,
      maxChannels: limits.maxChannelsPerLink,
      workload: agent.workspaceName,
      minLinks: limits.minLinks,
      maxLinks: limits.maxLinks,
    };
  }

  function added(
    incoming: Incoming,
    agent: AuthenticatedAgent,
    hello: HelloInfo,
    link: Link,
  ): void {
    const { agentId } = agent;
    const replaced = agents.add(agentId, link, hello);
    registry.add(agentId, link, hello);
    directory.connected(agentId, now(), hello);
    options.observer?.linkOpened(incoming.transport);
    log.info(
      {
        agentId,
        workspace: agent.workspaceName,
        link: link.id,
        transport: incoming.transport,
        remoteAddress: incoming.remoteAddress,
        software: hello.software,
        instance: hello.instanceId,
      },
      'link opened',
    );
    if (replaced.length === 0) return;
    log.warn(
      {
        agentId,
        workspace: agent.workspaceName,
        links: replaced.length,
        instance: hello.instanceId,
      },
      'a new instance of the agent replaces the connected one; if this repeats, two processes share one token',
    );
    for (const old of replaced) {
      old.close(
        new TunnelError(
          'too-many-links',
          'A newer process with the same agent token has taken over.',
        ),
      );
    }
  }

  function closed(agentId: string, link: Link, error: TunnelError): void {
    registry.remove(agentId, link);
    agents.remove(agentId, link);
    directory.disconnected(agentId, now());
    options.observer?.linkClosed(link, error.code);
    log.info(
      { agentId, link: link.id, code: error.code, reason: error.message, byAgent: error.remote },
      'link closed',
    );
  }

  async function renew(): Promise<void> {
    agents.sweep();
    const ids = agents.connected();
    for (let i = 0; i < ids.length; i += RENEW_BATCH) {
      await directory.renewLeases(ids.slice(i, i + RENEW_BATCH));
    }
  }

  return {
    start() {
      timer ??= setInterval(() => {
        renewing ??= renew()
          // Leases are long; a database that is away for a while costs nobody theirs.
          .catch((error: Error) =>
            log.warn({ error: error.message }, 'cannot renew the leases of agents'),
          )
          .finally(() => (renewing = undefined));
      }, limits.renewEveryMs);
      timer.unref();
    },
    admit,
    refuseNew() {
      draining = true;
    },
    drain(graceMs) {
      draining = true;
      for (const link of agents.all()) {
        if (!link.draining) link.drain(graceMs, 'The relay shuts down.');
      }
    },
    async stop() {
      draining = true;
      clearInterval(timer);
      unsubscribe();
      for (const link of [...agents.all()]) link.close(drainingError());
      await renewing;
    },
    all: () => agents.all(),
  };
}

function drainingError(): TunnelError {
  return new TunnelError('draining', 'The relay shuts down; dial again.');
}
