import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Link } from '@burrow/tunnel';
import { createAudit, type Audit } from './audit/audit.ts';
import type { Auth } from './auth/auth.ts';
import { createAuth } from './auth/auth.ts';
import { createClients } from './clients/index.ts';
import { ChangeFeed } from './changes/feed.ts';
import { clusterSettings } from './cluster/cluster-settings.ts';
import { addressSet } from './config/address-range.ts';
import type { Config } from './config/schema.ts';
import type { Control } from './control/control.ts';
import { inProcessServer } from './control/in-process.ts';
import { workspaceNames } from './control/cluster/workspace-names.ts';
import { createUserCa } from './control/ssh/user-ca.ts';
import { SYSTEM_CLOCK } from './control/clock.ts';
import { openDatabase } from './db/database.ts';
import { databaseOf } from './db/configured.ts';
import type { Driver } from './drivers/driver.ts';
import { externalDriver } from './drivers/external.ts';
import { createGateway } from './http/gateway.ts';
import { createGatePolicy } from './http/policy/gate.ts';
import { parseHost } from './http/policy/host.ts';
import { grpcEndpoint, isGrpc } from './links/grpc-endpoint.ts';
import { admissionByToken } from './links/admission.ts';
import { Lifecycle, type LifeStory } from './lifecycle.ts';
import { emptied } from './links/emptied.ts';
import { createLinks } from './links/links.ts';
import { websocketEndpoint } from './links/websocket-endpoint.ts';
import { createListener } from './listen/listener.ts';
import { loadRelayKeys } from './keys/relay-keys.ts';
import { createLogger, type RelayLogger } from './observe/logger.ts';
import { createMetrics } from './observe/metrics.ts';
import type { Readiness } from './observe/routes.ts';
import type { RelayStats } from './peers/stats.ts';
import { aloneOf } from './peers/status.ts';
import { memoryRouting } from './routing/memory.ts';
import { resumingRouter } from './routing/resuming.ts';
import type { LinkChooser, LinkRegistry, Router } from './routing/router.ts';
import { Teardown } from './teardown.ts';
import { publicUrlOf } from './public-url.ts';
import { composeControl } from './relay-control.ts';
import { forwardedHops, linkOrigins } from './relay-origin.ts';
import { hostsOf, makeDataFolder, tlsFilesOf } from './relay-settings.ts';
import { composeSsh } from './relay-ssh.ts';
import { composeTracing } from './relay-tracing.ts';
import { VERSION } from './version.ts';

export interface RelayOverrides {
  /** Beside `external`. */
  readonly drivers?: readonly Driver[];
  readonly logger?: RelayLogger;
}

export interface Relay {
  /**
   * Listens, then begins to serve. Rejects with RelayError, having stopped what had started.
   */
  start(): Promise<void>;
  /** How people reach this relay. With port 0 in the configuration: only after `start`. */
  readonly url: URL;
  readonly port: number;
  /** The SSH gateway's port and first host key (`ssh-ed25519 AAAA…`). Undefined: it is off. */
  readonly ssh:
    | { readonly host: string; readonly port: number; readonly hostKey: string }
    | undefined;
  /** Absolute path of the data folder. */
  readonly dataDir: string;
  readonly auth: Auth;
  readonly audit: Audit;
  readonly control: Control;
  readiness(): Readiness;
  /** Client connections and HTTP/2 requests that are being served. */
  readonly busy: number;
  /** Stops; see below. A second call waits for the first, and shortens its grace to the smaller one. */
  stop(graceMs?: number): Promise<void>;
}

const AUTHENTICATE_WITHIN_MS = 10_000;

/**
 * The composition root: only this file knows all rooms.
 *
 * Starting: data folder, database, people (auth), routing, control plane, links,
 * gateway, and last the port. The port is bound before the control plane
 * starts its workspaces, since they must be told it; connections are held until all is ready.
 *
 * How it stops is told in `lifecycle.ts`.
 */
export async function createRelay(config: Config, overrides: RelayOverrides = {}): Promise<Relay> {
  const log = overrides.logger ?? createLogger(config.log);
  const { logger } = log;
  const teardown = new Teardown((what, error) =>
    logger.error({ what, err: error }, 'stopping failed'),
  );

  try {
    return await build();
  } catch (error) {
    await teardown.run();
    throw error;
  }

  async function build(): Promise<Relay> {
    const dataDir = resolve(config.dataDir);
    makeDataFolder(dataDir);
    const database = await openDatabase(databaseOf(config, dataDir, logger));
    teardown.add('database', () => database.close());

    let port = config.listen.port;
    let sshPort = config.ssh.port;
    const trusted = addressSet(config.listen.trustedProxies);
    const changes = new ChangeFeed(database.kysely, (error) =>
      logger.error({ err: error }, 'a change by another relay could not be taken over'),
    );
    const auth = createAuth({ db: database.kysely, changes });
    const incarnation = randomBytes(16).toString('hex');
    const member = clusterSettings(config, incarnation);
    const self = {
      relayId: member?.relayId ?? hostname(),
      relayIncarnation: incarnation,
      software: `burrow-relay/${VERSION}`,
    };
    const local = memoryRouting({ maxWaiting: config.gateway.maxWaiting });
    const life = new Lifecycle();

    const metrics = createMetrics({
      links: () => local.links(),
      agents: () => local.agentCount,
      waiting: () => routing.waiting,
      resuming: () => resuming.resuming,
      connections: () => listener.connections,
      databaseHealthy: () => database.healthy(),
      draining: () => life.state === 'draining',
      sshSignedIn: () => ssh?.gateway.signedIn ?? 0,
    });
    const audit = createAudit({
      db: database.kysely,
      logger,
      retentionDays: config.audit.retentionDays,
      onDropped: (count) => metrics.auditDropped(count),
    });
    teardown.add('audit', () => audit.stop());
    const startedAt = performance.now();
    let drainsUntil: number | undefined;
    const aboutSelf = (): Omit<RelayStats, 'peerLinks'> => ({
      id: self.relayId,
      incarnation,
      version: VERSION,
      url: publicUrlOf(config, port).origin,
      uptimeSeconds: Math.floor((performance.now() - startedAt) / 1000),
      state: life.state,
      agents: local.agentCount,
      links: local.linkCount,
      channels: channelsOf(local.links()),
      ...(drainsUntil === undefined
        ? {}
        : {
            drain: {
              busy: gateway.connections + clients.channels,
              secondsLeft: Math.max(0, Math.ceil((drainsUntil - performance.now()) / 1000)),
            },
          }),
    });
    const cluster =
      member &&
      // A relay that stands alone loads none of it.
      (await import('./relay-cluster.ts').then(({ composeCluster }) =>
        composeCluster({
          config,
          settings: member,
          self: { id: self.relayId, incarnation, version: VERSION },
          local,
          stats: () => aboutSelf(),
          channels: () => tracing.answers,
          metrics: metrics.registry,
          logger,
        }),
      ));
    const routing: Router & LinkChooser & LinkRegistry & { readonly waiting: number } =
      cluster?.routing ?? local;
    teardown.add('registry', () => cluster?.registry.stop());
    const tracing = composeTracing({
      ...{ self, local, cluster, clients: () => clients, resuming: () => resuming },
      agentOf: async (name) => (await control.workspaces.find(name))?.agentId,
      workspacesOf: (agentIds) => workspaceNames(database.kysely, agentIds),
    });
    teardown.add('tracing', () => tracing.stop());
    const readiness = (): Readiness => {
      const healthy = database.healthy();
      return {
        ready: life.state === 'ready' && healthy,
        parts: {
          relay: life.state,
          database: healthy ? 'ok' : 'does not answer',
          links: String(local.linkCount),
          // Not a reason to send people elsewhere: what is known goes on, and elsewhere it is away too.
          ...(cluster === undefined ? {} : { registry: cluster.registry.problem ?? 'ok' }),
          ...(ssh === undefined ? {} : { ssh: ssh.gateway.listening ? 'ok' : 'starting' }),
        },
      };
    };

    const hosts = hostsOf(config);
    const keys = await loadRelayKeys({
      config,
      dataDir,
      database,
      changes,
      onError: (error) => logger.error({ err: error }, 'changed SSH keys could not be loaded'),
    });
    const userCa = createUserCa(() => keys.userCa, SYSTEM_CLOCK);
    const control: Control = await composeControl({
      ...{ config, database, changes, auth, audit, userCa, hosts, readiness, tracing, logger },
      alone: member === undefined,
      drivers: [externalDriver(), ...(overrides.drivers ?? [])],
      port: () => port,
      registry: config.metrics.enabled ? metrics.registry : undefined,
      presence: (agentId) => routing.presence(agentId),
      cluster: async () =>
        cluster?.status() ?? {
          relays: [aloneOf({ ...aboutSelf(), peerLinks: { in: 0, out: 0 } })],
          problem: null,
        },
    });
    teardown.add('control plane', () => control.stop());
    const controlServer = inProcessServer(control.app);
    teardown.add('control connections', () => controlServer.close());

    const links = createLinks({
      directory: control.agents,
      registry: routing,
      relay: self,
      clusterSize: () => cluster?.registry.size ?? 1,
      limits: {
        ...config.agents,
        authenticateWithinMs: AUTHENTICATE_WITHIN_MS,
        renewEveryMs: Math.min(600_000, (config.agents.leaseSeconds * 1000) / 4),
      },
      log: logger,
      observer: metrics,
    });
    const clients = createClients({
      tokens: auth.tokens,
      directory: control.workspaces,
      router: routing,
      keysOf: (person) => auth.keys.fingerprintsOf(person.userId),
      relay: self,
      clusterSize: () => cluster?.registry.size ?? 1,
      settings: {
        ...config.agents,
        authenticateWithinMs: AUTHENTICATE_WITHIN_MS,
        waitForAgentMs: config.gateway.agentWaitMs,
        resumeMs: config.gateway.resumeMs,
      },
      log: logger,
      audit,
      observer: metrics.clients,
      addressOf: ({ headers }) => forwardedHops(headers)[0] ?? '',
    });
    const ssh = config.ssh.enabled
      ? composeSsh({
          config,
          keys,
          auth,
          audit,
          control,
          userCa,
          router: routing,
          clients,
          publicUrl: () => publicUrlOf(config, port),
          logger,
        })
      : undefined;
    const admission = admissionByToken({ agents: links, people: clients });
    const grpc = grpcEndpoint(admission, logger);
    const origins = linkOrigins(hosts, trusted);
    const websockets = websocketEndpoint(admission, ({ headers }) => origins.ofUpgrade(headers));
    const detachWebSockets = websockets.attach(control.app.server, clients.handleUpgrade);

    const resuming = resumingRouter(routing, {
      windowMs: config.gateway.resumeMs,
      onLost: () => metrics.channelLost(),
      onResumed: (_channel, afterMs) => metrics.channelResumed(afterMs / 1000),
      onGivenUp: () => metrics.channelGivenUp(),
    });
    const router: Router = {
      open(agentId, options, handler) {
        const channel = resuming.open(agentId, options, handler);
        if (channel !== undefined) metrics.channelOpened();
        return channel;
      },
      waitFor: (agentId, signal) => routing.waitFor(agentId, signal),
      presence: (agentId) => routing.presence(agentId),
    };
    const gateway = createGateway({
      policy: createGatePolicy({ auth, directory: control.workspaces, log: logger, ...hosts }),
      router,
      control: controlServer,
      trusted,
      log: logger,
      metrics: {
        onRequest() {},
        onResponse(outcome, _status, latencyMs) {
          metrics.request(outcome);
          if (outcome === 'app') metrics.answered(latencyMs / 1000);
        },
      },
      limits: { waitForAgentMs: config.gateway.agentWaitMs },
    });

    const listener = createListener({
      ...config.listen,
      tls: tlsFilesOf(config),
      trusted,
      log: logger,
      onRefused: (why) => metrics.connectionRefused(why),
      onHttp1: (socket, info) => gateway.handleSocket(socket, info),
      onHttp2(stream, headers, rawHeaders, info) {
        const authority = headers[':authority'] ?? headers.host ?? '';
        const { place } = parseHost(authority.toLowerCase(), info.secure, hosts);
        // On an app's host every path belongs to the app, gRPC too; unknown hosts are the gateway's to refuse.
        if (place.kind === 'control' && isGrpc(headers)) {
          grpc.handle(stream, headers, origins.ofStream(authority, headers, info));
        } else gateway.handleStream(stream, rawHeaders, info);
      },
    });
    teardown.add('port', () => listener.close());
    teardown.add('links', () => links.stop());
    teardown.add('other relays', () => cluster?.peers.stop());
    teardown.add('rebalance', () => cluster?.rebalance.stop());
    teardown.add('clients', () => clients.stop());
    teardown.add('SSH gateway', () => ssh?.gateway.stop());
    teardown.add('gRPC', () => grpc.stop());
    teardown.add('WebSocket endpoint', () => detachWebSockets());
    teardown.add('resuming', () => resuming.stop());
    teardown.add('routing', () => cluster?.routing.stop());
    teardown.add('gateway', () => gateway.close());

    const story: LifeStory = {
      begin: [
        async () => (port = await listener.start()),
        async () => cluster?.start(),
        () => control.start(),
        async () => links.start(),
        async () => (sshPort = (await ssh?.gateway.start()) ?? 0),
      ],
      open: () => listener.open(),
      say: () => grpc.setServing(false),
      async shut() {
        listener.stopAccepting();
        links.refuseNew();
        await ssh?.gateway.stopAccepting();
      },
      async drain(graceMs) {
        logger.info({ graceMs, busy: gateway.connections }, 'relay drains');
        drainsUntil = performance.now() + graceMs;
        listener.drain();
        tracing.drain();
        const elsewhere = cluster !== undefined && cluster.registry.size > 1;
        if (elsewhere) {
          cluster.rebalance.stop();
          // There is somewhere to go: agents link elsewhere first, and what other relays have here follows them.
          links.drain(graceMs);
          cluster.peers.drain(graceMs, `The relay “${self.relayId}” shuts down.`);
        }
        await Promise.all([
          gateway.drain(graceMs),
          clients.drain(graceMs),
          ...(elsewhere ? [emptied(() => local.links(), graceMs)] : []),
        ]);
      },
      async end() {
        await teardown.run();
        logger.info({}, 'relay stopped');
        log.flush();
      },
    };

    const relay: Relay = {
      async start() {
        await life.start(story);
        logger.info(
          { url: publicUrlOf(config, port).origin, port, version: VERSION, dataDir },
          'relay ready',
        );
      },
      get url() {
        return publicUrlOf(config, port);
      },
      get port() {
        return port;
      },
      get ssh() {
        if (ssh === undefined) return undefined;
        const host = publicUrlOf(config, port).hostname;
        return { host, port: sshPort, hostKey: ssh.hostKey };
      },
      dataDir,
      auth,
      audit,
      control,
      readiness,
      get busy() {
        return gateway.connections;
      },
      stop: (graceMs = config.drain.graceMs) => life.stop(story, graceMs),
    };
    return relay;
  }
}

function channelsOf(links: Iterable<Link>): number {
  let sum = 0;
  for (const link of links) sum += link.stats.channels;
  return sum;
}
