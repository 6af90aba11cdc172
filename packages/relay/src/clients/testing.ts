/** The clients room over memory: an agent that records, and people who dial. */
import { type Channel, type Link, type TunnelError, TunnelError as Failure } from '@burrow/tunnel';
import { greetAsAcceptor, greetAsDialler } from '@burrow/tunnel';
import { linkPair, Recorder, TEST_HELLO, transportPair } from '@burrow/tunnel/testing';
import type { Principal } from '../auth/principal.ts';
import type { WorkspaceRoute } from '../control/directory.ts';
import { memoryRouting, type MemoryRouting } from '../routing/memory.ts';
import type { ClientAudit, Clients, ClientsSettings } from './contracts.ts';
import { createClients } from './clients.ts';
import type { ClientLimits } from './limits.ts';

export const ANN: Principal = { userId: 'u-ann', username: 'ann', admin: false };
export const BOB: Principal = { userId: 'u-bob', username: 'bob', admin: false };
export const ANNS_TOKEN = `burrow_pat_${'a'.repeat(43)}`;
export const BOBS_TOKEN = `burrow_pat_${'b'.repeat(43)}`;
export const ANNS_KEY = `SHA256:${'k'.repeat(42)}A`;

type Event = Parameters<ClientAudit['record']>[0];

export interface Dialled {
  readonly link: Link;
  readonly closed: Promise<TunnelError>;
  /** Opens a channel whose end is told by the recorder. */
  open(workload: string, target?: Channel['target']): Recorder;
}

export interface ClientsStand {
  readonly clients: Clients;
  readonly routing: MemoryRouting;
  /** Mutable: what the other rooms know. */
  readonly tokens: Map<string, Principal>;
  readonly routes: Map<string, WorkspaceRoute>;
  /** Channels that reached the agent of `demo`. */
  readonly atAgent: Recorder[];
  readonly events: Event[];
  /** What was counted, in order: `opened grpc`, … */
  readonly counted: string[];
  /** Connects the agent of `demo`; returns its end of the link. */
  connectAgent(): Promise<Link>;
  /** Resolves with the refusal, or with a link. */
  dial(token: string | undefined, plaintextHost?: string): Promise<Dialled | TunnelError>;
  /** Dials as Ann, who is let in. */
  dialAsAnn(): Promise<Dialled>;
}

export function route(name: string, over: Partial<WorkspaceRoute> = {}): WorkspaceRoute {
  return {
    id: `w-${name}`,
    name,
    ownerId: ANN.userId,
    agentId: `a-${name}`,
    state: 'running',
    editorPort: 60_001,
    ports: new Map(),
    agentLastSeen: 1,
    ...over,
  };
}

export function clientsStand(
  over: { settings?: Partial<ClientsSettings>; limits?: Partial<ClientLimits> } = {},
): ClientsStand {
  const routing = memoryRouting({ maxWaiting: 100 });
  const tokens = new Map([
    [ANNS_TOKEN, ANN],
    [BOBS_TOKEN, BOB],
  ]);
  const routes = new Map([
    ['demo', route('demo')],
    ['stopped', route('stopped', { state: 'stopped' })],
    ['away', route('away')],
  ]);
  const events: Event[] = [];
  const counted: string[] = [];
  const atAgent: Recorder[] = [];
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const clients = createClients({
    tokens: { verify: (token) => Promise.resolve(tokens.get(token)) },
    directory: { find: (name) => routes.get(name) },
    router: routing,
    keysOf: async ({ userId }) => (userId === ANN.userId ? [ANNS_KEY] : []),
    relay: { relayId: 'r1', relayIncarnation: 'i1', software: 'test' },
    settings: {
      pingAfterMs: 8_000,
      pongWithinMs: 5_000,
      helloTimeoutMs: 1_000,
      maxPendingLinks: 10,
      authenticateWithinMs: 1_000,
      waitForAgentMs: 50,
      resumeMs: 60_000,
      allowPlaintext: false,
      ...over.settings,
    },
    limits: { watchMs: 10, refusalMs: 5, ...over.limits },
    log: quiet,
    audit: { record: (event) => void events.push(event) },
    observer: {
      linkOpened: (transport) => void counted.push(`opened ${transport}`),
      linkClosed: (code) => void counted.push(`closed ${code}`),
      linkRefused: (code) => void counted.push(`refused ${code}`),
      channelOpened: () => void counted.push('channel'),
    },
  });

  const dial: ClientsStand['dial'] = async (token, plaintextHost) => {
    const [near, far] = transportPair();
    const closed = Promise.withResolvers<TunnelError>();
    const dialling = greetAsDialler(near, {
      hello: TEST_HELLO,
      handler: {
        onChannel: (channel) => channel.reset('unsupported', 'no'),
        onClose: closed.resolve,
      },
      signal: AbortSignal.timeout(5_000),
    });
    dialling.catch(() => {});
    const refusal = await clients.admit({
      transport: 'grpc',
      token,
      remoteAddress: '192.0.2.7',
      plaintextHost,
      accept: (options) => greetAsAcceptor(far, options),
    });
    if (refusal !== undefined) return refusal;
    const { link } = await dialling;
    return {
      link,
      closed: closed.promise,
      open(workload, target = { kind: 'ssh', authorizedKeys: [] }) {
        const recorder = new Recorder();
        // A liar: the relay says who it is.
        const principal = { userId: 'u-root', username: 'root' };
        recorder.channel = link.open({ target, workload, principal }, recorder);
        return recorder;
      },
    };
  };

  return {
    clients,
    routing,
    tokens,
    routes,
    atAgent,
    events,
    counted,
    async connectAgent() {
      const pair = await linkPair({
        dialler: {
          onChannel(channel) {
            const recorder = new Recorder();
            recorder.channel = channel;
            channel.setHandler(recorder);
            atAgent.push(recorder);
            channel.accept();
          },
          onClose() {},
        },
        acceptor: {
          onChannel: (channel) => channel.reset('not-allowed', 'no'),
          onClose: () => routing.remove('a-demo', pair.acceptor),
        },
      });
      routing.add('a-demo', pair.acceptor, {
        ...TEST_HELLO,
        revision: 1,
        minRevision: 1,
        capabilities: [],
      });
      return pair.dialler;
    },
    dial,
    async dialAsAnn() {
      const dialled = await dial(ANNS_TOKEN);
      if (dialled instanceof Failure) throw dialled;
      return dialled;
    },
  };
}
