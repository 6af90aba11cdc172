import { once } from 'node:events';
import type { IncomingHttpHeaders, Http2Session, ServerHttp2Stream } from 'node:http2';
import { TunnelError, type HelloInfo, type Link, type LinkHandler } from '@burrow/tunnel';
import { acceptGrpc, refuseGrpc } from '@burrow/tunnel/grpc';
import type { PeersOptions, RefusalReason } from './contracts.ts';
import { joinWithAgent, resumeWithAgent } from './join.ts';
import type { PeerLimits } from './limits.ts';
import { peerToken } from './peer-token.ts';
import { PeerRefused, relayStops } from './refused.ts';
import type { AcceptedPeer, PeerIdentity, PeerTokens } from './tokens.ts';

export interface AcceptorDeps extends Pick<
  PeersOptions,
  'self' | 'choose' | 'clusterSize' | 'log' | 'observer'
> {
  readonly tokens: PeerTokens;
  readonly limits: PeerLimits;
}

/** Links that other relays opened. */
export class Acceptor {
  readonly #deps: AcceptorDeps;
  /** By the incarnation of the relay at the other end. */
  readonly #links = new Map<string, Set<Link>>();
  readonly #names = new WeakMap<Link, string>();
  readonly #sessions = new Set<Http2Session>();
  #count = 0;
  #pending = 0;
  #draining = false;

  constructor(deps: AcceptorDeps) {
    this.#deps = deps;
  }

  *links(): IterableIterator<Link> {
    for (const links of this.#links.values()) yield* links;
  }

  /** The relay at the other end. */
  peerOf(link: Link): string {
    return this.#names.get(link) ?? '';
  }

  /** Never rejects. */
  async accept(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const { tokens, limits } = this.#deps;
    let counted = false;
    try {
      if (this.#draining) throw this.#stopping();
      if (this.#pending >= limits.pendingLinks) throw this.#full();
      counted = true;
      this.#pending += 1;
      const peer = await tokens.accept(peerToken(headers), 'link');
      this.#check(peer);
      await this.#welcome(stream, headers, peer);
    } catch (error) {
      const refused = this.#refused(error, stream);
      refuseGrpc(stream, refused);
      stream.resume();
    } finally {
      if (counted) this.#pending -= 1;
    }
  }

  /** Nothing new is let in, and nothing new comes on what is here. Idempotent. */
  drain(deadlineMs: number, reason: string): void {
    this.#draining = true;
    for (const link of this.links()) link.drain(deadlineMs, reason);
  }

  /** Idempotent. */
  stop(): void {
    this.#draining = true;
    for (const link of [...this.links()]) link.close(relayStops(this.#deps.self.id));
  }

  /** Resolves when the connections of all links have ended. */
  ended(): Promise<void> {
    return Promise.all([...this.#sessions].map((session) => once(session, 'close'))).then(() => {});
  }

  #check(peer: PeerIdentity): void {
    const { limits, self } = this.#deps;
    const links = this.#links.get(peer.incarnation)?.size ?? 0;
    if (links >= limits.acceptedPerPeer || this.#count >= limits.acceptedLinks) throw this.#full();
    if (peer.id === self.id) {
      // Everything goes by incarnation, so nothing breaks; but people cannot tell the two apart.
      this.#deps.log.warn(
        { id: peer.id, incarnation: peer.incarnation },
        'another relay has the same id; give each its own cluster.relayId',
      );
    }
  }

  async #welcome(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    peer: AcceptedPeer,
  ): Promise<void> {
    const { self, limits, clusterSize, log, observer } = this.#deps;
    /** What the handler learns: it is made before the link. */
    const known: { link?: Link; ended?: boolean } = {};
    const accepted = await acceptGrpc(stream, headers, {
      helloTimeoutMs: limits.helloTimeoutMs,
      maxOpensPerSecond: limits.opensPerSecond,
      welcome: (hello) => {
        try {
          if (this.#draining) throw this.#stopping();
          checkHello(hello, peer);
        } catch (error) {
          throw this.#refused(error, stream);
        }
        return {
          relayId: self.id,
          relayIncarnation: self.incarnation,
          software: `burrow-relay/${self.version}`,
          clusterSize: clusterSize?.() ?? 1,
          pingAfterMs: limits.pingAfterMs,
          pongWithinMs: limits.pongWithinMs,
          maxChannels: limits.channelsPerLink,
          // There is no workload on a link between relays: the proof takes its place.
          workload: peer.proof,
          minLinks: 1,
          maxLinks: limits.linksPerPeer,
          firstWindow: limits.firstWindowBytes,
        };
      },
      handler: this.#handler(peer, (error) => {
        known.ended = true;
        if (known.link === undefined) return;
        this.#remove(peer, known.link);
        observer?.linkClosed?.(known.link);
        log.info(
          { peer: peer.id, link: known.link.id, code: error.code, reason: error.message },
          'peer link closed',
        );
      }),
    });
    if (accepted === undefined || known.ended === true) return;
    const { link } = accepted;
    known.link = link;
    this.#keep(stream);
    this.#add(peer, link);
    log.info({ peer: peer.id, incarnation: peer.incarnation, link: link.id }, 'peer link accepted');
    if (this.#draining) link.close(relayStops(self.id));
  }

  #handler(peer: PeerIdentity, onClose: (error: TunnelError) => void): LinkHandler {
    const { choose, log, self } = this.#deps;
    const deps = { id: self.id, choose, log };
    return {
      onChannel: (channel) => joinWithAgent(channel, peer.id, deps),
      onResume: (resume) => resumeWithAgent(resume, peer.id, deps),
      onClose,
    };
  }

  /** The link's own keep-alive says from now on when the connection ends. */
  #keep({ session }: ServerHttp2Stream): void {
    if (session === undefined) return;
    session.setTimeout(0);
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
  }

  #add(peer: PeerIdentity, link: Link): void {
    let links = this.#links.get(peer.incarnation);
    if (links === undefined) this.#links.set(peer.incarnation, (links = new Set()));
    links.add(link);
    this.#names.set(link, peer.id);
    this.#count += 1;
  }

  #remove(peer: PeerIdentity, link: Link): void {
    const links = this.#links.get(peer.incarnation);
    if (links?.delete(link) !== true) return;
    this.#count -= 1;
    if (links.size === 0) this.#links.delete(peer.incarnation);
  }

  /** Counts and writes down a refusal; returns what the other relay is told. */
  #refused(error: unknown, stream: ServerHttp2Stream): TunnelError {
    const { log, observer } = this.#deps;
    const known = error instanceof PeerRefused;
    const reason: RefusalReason = known ? error.reason : 'failed';
    const told = known
      ? error.error
      : new TunnelError('unavailable', 'The relay cannot take this link now; try again shortly.');
    observer?.refused(reason);
    log.warn(
      {
        reason,
        message: (error as Error).message,
        address: stream.session?.socket.remoteAddress,
      },
      'a peer link is refused',
    );
    return told;
  }

  #stopping(): PeerRefused {
    const { code, message } = relayStops(this.#deps.self.id);
    return new PeerRefused('draining', code, message);
  }

  #full(): PeerRefused {
    return new PeerRefused(
      'full',
      'too-many-links',
      `The relay “${this.#deps.self.id}” takes no more links from other relays.`,
    );
  }
}

function checkHello(hello: HelloInfo, peer: PeerIdentity): void {
  if (hello.instanceId === peer.incarnation) return;
  throw new PeerRefused(
    'incarnation',
    'token-unknown',
    'The token was signed by another run than the one that greets.',
  );
}
