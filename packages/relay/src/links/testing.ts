import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import {
  TunnelError,
  type LinkErrorCode,
  type LinkHandler,
  type TunnelErrorCode,
} from '@burrow/tunnel';
import { TEST_HELLO } from '@burrow/tunnel/testing';
import type { AgentDirectory } from '../control/directory.ts';
import { memoryRouting, type MemoryRouting } from '../routing/memory.ts';
import { grpcEndpoint, type GrpcEndpoint } from './grpc-endpoint.ts';
import { createLinks, type Links, type LinksLimits } from './links.ts';
import { websocketEndpoint } from './websocket-endpoint.ts';

const LOCAL = { remoteAddress: '127.0.0.1', plaintextHost: undefined };
export const GOOD_TOKEN = 'burrow_agt_good';

/** A directory that knows one agent; other tokens are refused with the code that they name. */
export class FakeDirectory implements AgentDirectory {
  readonly events: string[] = [];
  readonly renewed: string[][] = [];
  readonly #listeners = new Set<(agentId: string, reason: string) => void>();
  /** Replaces the answer of `authenticate`. */
  answer: ((token: string) => Promise<never>) | undefined;

  authenticate(token: string) {
    if (this.answer !== undefined) return this.answer(token);
    if (token === GOOD_TOKEN) {
      return Promise.resolve({ agentId: 'a1', workspaceId: 'w1', workspaceName: 'demo' });
    }
    return Promise.reject(
      new TunnelError(token as LinkErrorCode, `said ${token}: 100% "sure" – é`),
    );
  }
  connected(agentId: string): void {
    this.events.push(`+${agentId}`);
  }
  disconnected(agentId: string): void {
    this.events.push(`-${agentId}`);
  }
  renewLeases(agentIds: readonly string[]): Promise<void> {
    this.renewed.push([...agentIds]);
    return Promise.resolve();
  }
  onRevoked(listener: (agentId: string, reason: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  revoke(agentId: string, reason: string): void {
    for (const listener of this.#listeners) listener(agentId, reason);
  }
  get listeners(): number {
    return this.#listeners.size;
  }
}

export interface LinksStand {
  readonly links: Links;
  readonly endpoint: GrpcEndpoint;
  readonly directory: FakeDirectory;
  readonly routing: MemoryRouting;
  readonly refused: TunnelErrorCode[];
  readonly warnings: string[];
  /** The gRPC port. */
  readonly url: URL;
  readonly webSocketUrl: URL;
}

/** The links room behind plain servers of its own. */
export async function linksStand(
  t: TestContext,
  limits: Partial<LinksLimits> = {},
): Promise<LinksStand> {
  const directory = new FakeDirectory();
  const routing = memoryRouting({ maxWaiting: 10 });
  const refused: TunnelErrorCode[] = [];
  const warnings: string[] = [];
  const log = {
    info() {},
    warn: (_: object, message: string) => warnings.push(message),
    error() {},
  };
  const links = createLinks({
    directory,
    registry: routing,
    relay: { relayId: 'r1', relayIncarnation: 'i1', software: 'test' },
    limits: {
      pingAfterMs: 8_000,
      pongWithinMs: 5_000,
      minLinks: 2,
      maxLinks: 4,
      maxLinksPerAgent: 3,
      maxChannelsPerLink: 100,
      maxConnectsPerMinute: 50,
      helloTimeoutMs: 1_000,
      maxPendingLinks: 10,
      authenticateWithinMs: 500,
      renewEveryMs: 20,
      allowPlaintext: false,
      ...limits,
    },
    log,
    observer: {
      linkOpened() {},
      linkClosed() {},
      linkRefused: (code) => refused.push(code),
      channelConnected() {},
    },
  });
  const endpoint = grpcEndpoint(links, log);
  const h2 = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  h2.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  h2.on('stream', (stream, headers) => endpoint.handle(stream, headers, LOCAL));
  const h1 = http.createServer((_request, response) => response.writeHead(404).end());
  websocketEndpoint(links, () => LOCAL).attach(h1);
  const [grpcPort, webPort] = await Promise.all([listen(h2), listen(h1)]);
  t.after(async () => {
    endpoint.stop();
    await links.stop();
    for (const session of sessions) session.destroy();
    h2.close();
    h1.close();
    h1.closeAllConnections();
  });
  return {
    links,
    endpoint,
    directory,
    routing,
    refused,
    warnings,
    url: new URL(`http://127.0.0.1:${grpcPort}`),
    webSocketUrl: new URL(`http://127.0.0.1:${webPort}`),
  };
}

function listen(server: http.Server | http2.Http2Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/** What a dialler is given, and a promise of how its link ends. */
export function dialler(url: URL, token: string, instanceId = TEST_HELLO.instanceId) {
  const closed = Promise.withResolvers<TunnelError>();
  const handler: LinkHandler = {
    onChannel: (channel) => channel.reset('unsupported', 'no'),
    onClose: (error) => closed.resolve(error),
  };
  return {
    closed: closed.promise,
    options: {
      url,
      token,
      hello: { ...TEST_HELLO, instanceId },
      handler,
      signal: AbortSignal.timeout(5_000),
    },
  };
}
