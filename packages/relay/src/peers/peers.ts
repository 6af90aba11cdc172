import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { TunnelError, type Link, type Traffic } from '@burrow/tunnel';
import { CONNECT_PATH } from '@burrow/tunnel/grpc';
import { isLoopback } from '../config/address-range.ts';
import { RelayError } from '../errors.ts';
import { abortable } from '../routing/abortable.ts';
import type { RelayInfo } from '../routing/registry.ts';
import { Acceptor } from './acceptor.ts';
import { askChannels } from './ask-channels.ts';
import { askStats } from './ask-stats.ts';
import { askTrace } from './ask-trace.ts';
import type { Peers, PeersOptions } from './contracts.ts';
import { dialPeer } from './dial.ts';
import { PEER_LIMITS } from './limits.ts';
import { peerListener } from './listener.ts';
import { Peer, type PeerDeps } from './peer.ts';
import { answerPeer } from './requests.ts';
import { openPeerTls } from './tls.ts';
import { PeerTokens } from './tokens.ts';

/** Looks for links without channels: so often within the time that they may idle. */
const SWEEPS = 10;

/** The room of the other relays. Rejects with RelayError `config-invalid` when the TLS files or the secret cannot be used. */
export async function createPeers(options: PeersOptions): Promise<Peers> {
  const { self, listen, log, observer } = options;
  const limits = { ...PEER_LIMITS, ...options.limits };
  const tls = listen.tls === undefined ? undefined : await openPeerTls(listen.tls, log);
  const tokens = tokensOf(options);
  const acceptor = new Acceptor({ ...options, tokens, limits });
  const listener = peerListener({ ...listen, tls, limits, log, onStream });
  const peers = new Map<string, Peer>();
  const lost = new Set<(relay: RelayInfo, reason: TunnelError) => void>();
  const stopped = new AbortController();
  let sweeper: NodeJS.Timeout | undefined;
  let stopping: Promise<void> | undefined;

  const deps: PeerDeps = {
    dial: (relay, handler, signal) =>
      dialPeer(relay, { self, tokens, tls, closeMs: limits.closeMs }, handler, signal),
    limits,
    log,
    stopped: stopped.signal,
    onDialled: (outcome) => observer?.dialled(outcome),
    onClosed: (link) => observer?.linkClosed?.(link),
    onLost: (relay, reason) => {
      if (stopped.signal.aborted) return;
      for (const listener of lost) listener(relay, reason);
    },
  };

  function onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // A stream that is reset must not end the process.
    stream.on('error', () => {});
    if (headers[':path'] === CONNECT_PATH && headers[':method'] === 'POST') {
      void acceptor.accept(stream, headers);
    } else void answerPeer(stream, headers, { ...options, tokens, observer });
  }

  function peerOf(relay: RelayInfo): Peer {
    let peer = peers.get(relay.incarnation);
    if (peer === undefined) {
      peers.set(relay.incarnation, (peer = new Peer(relay, deps)));
      sweeper ??= setInterval(sweep, limits.idleMs / SWEEPS).unref();
    }
    return peer;
  }

  function sweep(): void {
    const now = performance.now();
    for (const [incarnation, peer] of peers) if (peer.sweep(now)) peers.delete(incarnation);
    if (peers.size > 0) return;
    clearInterval(sweeper);
    sweeper = undefined;
  }

  async function link(relay: RelayInfo, signal: AbortSignal, traffic: Traffic): Promise<Link> {
    if (stopped.signal.aborted) throw new TunnelError('draining', 'This relay shuts down.');
    if (relay.incarnation === self.incarnation) {
      throw new TunnelError('internal', 'A relay does not dial itself.');
    }
    return peerOf(relay).link(signal, traffic);
  }

  async function stop(): Promise<void> {
    stopped.abort(new TunnelError('draining', 'This relay shuts down.'));
    clearInterval(sweeper);
    sweeper = undefined;
    listener.stopAccepting();
    acceptor.stop();
    for (const peer of peers.values()) {
      peer.close(new TunnelError('draining', `The relay “${self.id}” shuts down.`));
    }
    peers.clear();
    // Last words need a moment: a peer that takes none is not waited for.
    const late = AbortSignal.timeout(limits.closeMs);
    await abortable(acceptor.ended(), late).catch(() => {});
    await listener.close();
    tls?.close();
  }

  return {
    async start() {
      const port = await listener.start();
      const url = listen.url ?? urlOf(listen.host, port, tls !== undefined);
      const plain = tls === undefined && !isLoopbackHost(listen.host);
      log[plain ? 'warn' : 'info'](
        { url, tls: tls !== undefined },
        plain
          ? 'other relays reach this one without TLS: whoever is on that network reads what passes; set cluster.peer.tls'
          : 'other relays can reach this one',
      );
      return { url };
    },
    linkNow: (relay, traffic = 'auto') => peers.get(relay.incarnation)?.linkNow(traffic),
    link: (relay, signal, traffic = 'auto') => link(relay, signal, traffic),
    onLost(listener) {
      lost.add(listener);
      return () => lost.delete(listener);
    },
    stats: (relay, signal) => askStats(relay, { tokens, tls, limits }, signal),
    channels: (relay, query, signal) => askChannels(relay, query, { tokens, tls, limits }, signal),
    trace: (relay, what, tell, signal) =>
      askTrace(relay, what, { tokens, tls, limits }, tell, signal),
    *links(direction) {
      if (direction === 'in') yield* acceptor.links();
      else for (const peer of peers.values()) yield* peer.links;
    },
    *ends() {
      for (const link of acceptor.links()) yield [link, acceptor.peerOf(link)];
      for (const { relay, links } of peers.values())
        for (const each of links) yield [each, relay.id];
    },
    drain: (deadlineMs, reason) => acceptor.drain(deadlineMs, reason),
    stop: () => (stopping ??= stop()),
  };
}

function tokensOf({ self, secrets, limits, now }: PeersOptions): PeerTokens {
  try {
    return new PeerTokens(self, secrets, { ...PEER_LIMITS, ...limits }, now);
  } catch (error) {
    throw new RelayError('config-invalid', `cluster.secret: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function urlOf(host: string, port: number, secure: boolean): string {
  return `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || isLoopback(host);
}
