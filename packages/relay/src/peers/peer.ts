import { TunnelError, type Link, type LinkHandler, type Traffic } from '@burrow/tunnel';
import { abortable } from '../routing/abortable.ts';
import { chooseLink } from '../routing/choose-link.ts';
import type { RelayInfo } from '../routing/registry.ts';
import type { DialOutcome, PeersLog } from './contracts.ts';
import { WrongRelay } from './dial.ts';
import type { PeerLimits } from './limits.ts';

export interface PeerDeps {
  readonly dial: (relay: RelayInfo, handler: LinkHandler, signal: AbortSignal) => Promise<Link>;
  readonly limits: PeerLimits;
  readonly log: PeersLog;
  readonly onDialled: (outcome: DialOutcome) => void;
  readonly onLost: (relay: RelayInfo, reason: TunnelError) => void;
  readonly onClosed: (link: Link) => void;
  /** Ends every dial. */
  readonly stopped: AbortSignal;
}

/** Our links to one run of one other relay. */
export class Peer {
  readonly relay: RelayInfo;
  readonly #deps: PeerDeps;
  readonly #links: Link[] = [];
  /** When each link last had a channel. Monotonic ms. */
  readonly #usedAt = new Map<Link, number>();
  #dialling: Promise<Link> | undefined;
  #failures = 0;
  #failure: { readonly error: TunnelError; readonly until: number } | undefined;
  /** Whether a link was usable when last looked. */
  #up = false;
  /** The relay said on one link that it shuts down: of the others that is still to come. */
  #leaves: TunnelError | undefined;

  constructor(relay: RelayInfo, deps: PeerDeps) {
    this.relay = relay;
    this.#deps = deps;
  }

  get links(): readonly Link[] {
    return this.#links;
  }

  /** The best link now. Called for each channel: it waits for nothing and allocates nothing. */
  linkNow(traffic: Traffic): Link | undefined {
    if (this.#leaves !== undefined) return undefined;
    let best = chooseLink(this.#links, traffic);
    if (best === undefined) return undefined;
    if (this.#wantsAnother()) void this.#dial().catch(() => {});
    if (best.stats.channels >= this.#deps.limits.channelsPerLink) {
      const free = this.#links.filter(
        (link) => link.stats.channels < this.#deps.limits.channelsPerLink,
      );
      best = chooseLink(free, traffic) ?? best;
    }
    return best;
  }

  /** Rejects with TunnelError, or with the signal's reason; the dial itself goes on for others. */
  async link(signal: AbortSignal, traffic: Traffic): Promise<Link> {
    const up = this.linkNow(traffic);
    if (up !== undefined) return up;
    signal.throwIfAborted();
    return abortable(this.#dial(), signal);
  }

  /** Closes what nobody uses. Returns true when nothing is left that is worth remembering. */
  sweep(now: number): boolean {
    for (const link of [...this.#links]) {
      if (link.stats.channels > 0) this.#usedAt.set(link, now);
      else if (now - (this.#usedAt.get(link) ?? now) >= this.#deps.limits.idleMs) {
        // Only this side opens channels: between this look and the close none can come.
        this.#forget(link);
        this.#up = this.#usable;
        link.close(new TunnelError('cancelled', 'Nobody has used this link for a while.'));
      }
    }
    const remembered = this.#failure !== undefined && this.#failure.until > now;
    return this.#links.length === 0 && this.#dialling === undefined && !remembered;
  }

  close(error: TunnelError): void {
    for (const link of [...this.#links]) link.close(error);
  }

  get #usable(): boolean {
    return this.#leaves === undefined && this.#links.some((link) => !link.closed && !link.draining);
  }

  /** A keystroke must find a link without bulk, and a channel one with room. */
  #wantsAnother(): boolean {
    const { linksPerPeer, crowdedChannels } = this.#deps.limits;
    if (this.#dialling !== undefined || this.#links.length >= linksPerPeer) return false;
    if (this.#failure !== undefined && this.#failure.until > performance.now()) return false;
    for (const { closed, draining, stats } of this.#links) {
      if (closed || draining) continue;
      if (stats.channels >= crowdedChannels) continue;
      if (stats.channels <= 1 || !stats.bulk) return false;
    }
    return true;
  }

  #dial(): Promise<Link> {
    return (this.#dialling ??= this.#dialOnce().finally(() => (this.#dialling = undefined)));
  }

  async #dialOnce(): Promise<Link> {
    const { limits, log, onDialled, stopped, dial } = this.#deps;
    const { relay } = this;
    if (this.#leaves !== undefined) throw this.#leaves;
    if (this.#failure !== undefined && this.#failure.until > performance.now()) {
      throw this.#failure.error;
    }
    const late = AbortSignal.timeout(limits.dialMs);
    try {
      const ends = new AbortController();
      const known: { link?: Link } = {};
      const link = await dial(
        relay,
        {
          onChannel: (channel) =>
            channel.reset('not-allowed', 'A relay opens channels on links that it dialled itself.'),
          onDrain: (_deadlineMs, reason) => {
            this.#leaves ??= new TunnelError('draining', reason);
            this.#look(this.#leaves);
          },
          onClose: (error) => {
            if (known.link === undefined) ends.abort(error);
            else this.#closed(known.link, error);
          },
        },
        AbortSignal.any([stopped, late]),
      );
      if (ends.signal.aborted) throw ends.signal.reason as TunnelError;
      known.link = link;
      this.#add(link);
      onDialled('ok');
      log.info({ peer: relay.id, incarnation: relay.incarnation, link: link.id }, 'peer dialled');
      return link;
    } catch (cause) {
      const error = this.#explained(cause, late);
      this.#failed(error);
      throw error;
    }
  }

  #explained(cause: unknown, late: AbortSignal): TunnelError {
    const { stopped, limits } = this.#deps;
    const { id } = this.relay;
    if (cause instanceof TunnelError) return cause;
    if (stopped.aborted) return new TunnelError('draining', 'This relay shuts down.');
    return new TunnelError(
      'unavailable',
      late.aborted
        ? `The relay “${id}” did not answer within ${limits.dialMs / 1000} s.`
        : `The relay “${id}” cannot be dialled: ${(cause as Error).message}`,
      { cause },
    );
  }

  #failed(error: TunnelError): void {
    const { limits, log, onDialled, stopped } = this.#deps;
    if (stopped.aborted) return;
    const { relay } = this;
    this.#failures += 1;
    const outcome =
      error instanceof WrongRelay ? 'wrong-relay' : error.remote ? 'refused' : 'failed';
    const final = outcome === 'wrong-relay' || error.code.startsWith('token-');
    const most = Math.min(limits.backOffMaxMs, limits.backOffMs * 2 ** (this.#failures - 1));
    const backOffMs = final ? limits.refusedBackOffMs : most / 2 + (Math.random() * most) / 2;
    this.#failure = { error, until: performance.now() + backOffMs };
    onDialled(outcome);
    log.warn(
      { peer: relay.id, url: relay.peerUrl, code: error.code, reason: error.message, outcome },
      'a relay cannot be dialled',
    );
  }

  #add(link: Link): void {
    this.#links.push(link);
    this.#usedAt.set(link, performance.now());
    this.#failures = 0;
    this.#failure = undefined;
    this.#up = true;
  }

  #closed(link: Link, error: TunnelError): void {
    const { log, onClosed } = this.#deps;
    onClosed(link);
    this.#forget(link);
    log.info(
      { peer: this.relay.id, link: link.id, code: error.code, reason: error.message },
      'peer link ended',
    );
    this.#look(error);
  }

  #forget(link: Link): void {
    const index = this.#links.indexOf(link);
    if (index >= 0) this.#links.splice(index, 1);
    this.#usedAt.delete(link);
  }

  #look(reason: TunnelError): void {
    if (!this.#up || this.#usable) return;
    this.#up = false;
    this.#deps.onLost(this.relay, reason);
  }
}
