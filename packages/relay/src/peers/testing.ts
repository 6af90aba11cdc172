/** Relays on loopback: the peers room with real sockets, agents and clients over memory. */
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import {
  joinChannel,
  type TunnelError,
  type Channel,
  type Link,
  type LinkHandler,
  type OpenOptions,
} from '@burrow/tunnel';
import { linkPair, Recorder, TEST_HELLO } from '@burrow/tunnel/testing';
import { memoryRouting, type MemoryRouting } from '../routing/memory.ts';
import type { RelayInfo } from '../routing/registry.ts';
import type { DialOutcome, Peers, PeersOptions, RefusalReason } from './contracts.ts';
import type { PeerLimits } from './limits.ts';
import { createPeers } from './peers.ts';

export const SECRET = 's'.repeat(32);

export const OPEN: OpenOptions = {
  target: { kind: 'tcp', port: 3000 },
  principal: { userId: 'u-ann', username: 'ann' },
  metadata: { 'client-address': '192.0.2.7' },
};

export interface TestRelay {
  readonly peers: Peers;
  readonly routing: MemoryRouting;
  readonly info: RelayInfo;
  readonly dials: DialOutcome[];
  readonly refusals: RefusalReason[];
  /** What its agents have been asked for. */
  readonly atAgent: Recorder[];
  readonly lost: { id: string; reason: TunnelError }[];
  connectAgent(agentId: string): Promise<Link>;
  /** The link to another relay, dialled if need be. */
  link(to: TestRelay): Promise<Link>;
  /** A client of this relay, whose channels are joined with the link to the other one. */
  clientOf(to: TestRelay, agentId: string): Promise<Link>;
}

export interface TestRelayOptions extends Partial<
  Pick<PeersOptions, 'secrets' | 'listen' | 'now' | 'choose' | 'channels'>
> {
  readonly incarnation?: string;
  readonly limits?: Partial<PeerLimits>;
}

export async function testRelay(
  t: TestContext,
  id: string,
  over: TestRelayOptions = {},
): Promise<TestRelay> {
  const routing = memoryRouting({ maxWaiting: 10 });
  const self = {
    id,
    incarnation: over.incarnation ?? randomBytes(16).toString('hex'),
    version: '0.0.0',
  };
  const dials: DialOutcome[] = [];
  const refusals: RefusalReason[] = [];
  const lost: TestRelay['lost'] = [];
  const atAgent: Recorder[] = [];
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const peers = await createPeers({
    self,
    secrets: over.secrets ?? [SECRET],
    listen: over.listen ?? { host: '127.0.0.1', port: 0 },
    choose: over.choose ?? ((agentId, traffic) => routing.choose(agentId, traffic)),
    stats: () => ({
      id,
      incarnation: self.incarnation,
      version: self.version,
      url: 'http://localhost',
      uptimeSeconds: 1,
      state: 'ready',
      agents: routing.agentCount,
      links: routing.linkCount,
      channels: 0,
      peerLinks: { in: [...peers.links('in')].length, out: [...peers.links('out')].length },
    }),
    ...(over.now === undefined ? {} : { now: over.now }),
    ...(over.channels === undefined ? {} : { channels: over.channels }),
    limits: { backOffMs: 20, ...over.limits },
    log: quiet,
    observer: {
      dialled: (outcome) => dials.push(outcome),
      refused: (reason) => refusals.push(reason),
    },
  });
  t.after(() => peers.stop());
  peers.onLost((relay, reason) => lost.push({ id: relay.id, reason }));
  const { url } = await peers.start();
  const relay: TestRelay = {
    ...{ peers, routing, dials, refusals, atAgent, lost },
    info: { ...self, peerUrl: url },
    async connectAgent(agentId) {
      const pair = await linkPair({
        dialler: recording(atAgent),
        acceptor: {
          onChannel: (channel) => channel.reset('not-allowed', 'no'),
          onClose: () => routing.remove(agentId, pair.acceptor),
        },
      });
      const hello = { ...TEST_HELLO, revision: 1, minRevision: 1, capabilities: [] };
      routing.add(agentId, pair.acceptor, hello);
      return pair.dialler;
    },
    link: (to) => peers.link(to.info, AbortSignal.timeout(5_000)),
    async clientOf(to, agentId) {
      const onward = await relay.link(to);
      const pair = await linkPair({
        acceptor: {
          onChannel: (channel) => void joinChannel(channel, onward, { workload: agentId }),
          onClose() {},
        },
      });
      return pair.dialler;
    },
  };
  return relay;
}

/** An agent that takes every channel and keeps what arrives. */
function recording(at: Recorder[]): LinkHandler {
  return {
    onChannel(channel: Channel) {
      const recorder = new Recorder();
      recorder.channel = channel;
      channel.setHandler(recorder);
      at.push(recorder);
      channel.accept();
    },
    onClose() {},
  };
}

/** Opens a channel whose end is told by the recorder. */
export function openOn(link: Link, over: Partial<OpenOptions> = {}): Recorder {
  const recorder = new Recorder();
  recorder.channel = link.open({ ...OPEN, ...over }, recorder);
  return recorder;
}
