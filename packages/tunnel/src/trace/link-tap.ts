import type { TunnelError, TunnelErrorCode } from '../errors.ts';
import type { Frame } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import type { FrameKind } from '../wire/encode.ts';
import type { FrameFacts, TracedFrame } from './events.ts';
import { factsOf } from './frame-facts.ts';
import type { TappedLink, TracedChannel } from './traced-channel.ts';
import type { Side, Viewed } from './view.ts';

/** What a link has under one of its numbers. */
export interface Attachment extends Viewed {
  readonly number: number;
}

/** A channel's number on this link. It stays after the channel has left: numbers are never used again. */
interface Place {
  readonly channel: TracedChannel;
  readonly side: Side;
  attached: boolean;
  /** Why it is about to leave. */
  ending: { readonly code?: TunnelErrorCode; readonly why: string } | undefined;
}

/** Tells what passes on one link of those channels that are traced. A link that carries none has no tap. */
export class LinkTap {
  readonly #link: TappedLink;
  readonly #places = new Map<number, Place[]>();

  constructor(link: TappedLink) {
    this.#link = link;
  }

  get empty(): boolean {
    return this.#places.size === 0;
  }

  add(number: number, side: Side, channel: TracedChannel): void {
    const places = this.#at(number).filter((place) => place.channel !== channel);
    places.push({ channel, side, attached: true, ending: undefined });
    this.#places.set(number, places);
  }

  remove(channel: TracedChannel): void {
    for (const [number, places] of this.#places) {
      const left = places.filter((place) => place.channel !== channel);
      if (left.length > 0) this.#places.set(number, left);
      else this.#places.delete(number);
    }
  }

  #at(number: number): Place[] {
    return this.#places.get(number) ?? [];
  }

  // ---- from the decoder and the link -----------------------------------------

  /** A whole frame, whose payload may still be on its way. */
  receivedData(number: number, offset: number, length: number): void {
    this.#frame(number, false, 'data', { offset, length });
  }

  receivedCredit(number: number, acked: number, limit: number): void {
    this.#frame(number, false, 'credit', { acked, limit });
  }

  received(kind: Frame['kind']): void {
    this.#control(kind, false);
    this.queued(kind);
  }

  // ---- from the batch ----------------------------------------------------------

  sentData(number: number, offset: number, length: number): void {
    this.#frame(number, true, 'data', { offset, length });
  }

  sentCredit(number: number, acked: number, limit: number): void {
    this.#frame(number, true, 'credit', { acked, limit });
  }

  sent(kind: FrameKind): void {
    this.#control(kind, true);
  }

  // ---- coming and going ----------------------------------------------------------

  /** A frame is about to be sent: its channel may leave before it has been. */
  queued(kind: FrameKind | Frame['kind']): void {
    if (kind.case !== 'reset' && kind.case !== 'detached') return;
    const known = factsOf(kind);
    if (known === undefined) return;
    const { code = 'agent-gone', reason = '' } = known.facts;
    for (const place of this.#at(known.channel)) place.ending ??= { code, why: reason };
  }

  /** The link is done with it. */
  left(each: Attachment): void {
    for (const place of this.#at(each.number)) {
      const inOrder = each.view().state === 'ended';
      const why = inOrder ? 'Both sides have ended.' : 'The channel moves to another link.';
      this.#detached(place, each.number, place.ending ?? { why });
    }
  }

  /** The link is gone. */
  lost({ code, message }: TunnelError): void {
    for (const [number, places] of this.#places) {
      for (const place of places) {
        this.#detached(place, number, place.ending ?? { code, why: message });
        place.channel.links.delete(this.#link);
      }
    }
    this.#places.clear();
  }

  #detached(place: Place, number: number, ending: NonNullable<Place['ending']>): void {
    if (!place.attached) return;
    place.attached = false;
    const { channel, side } = place;
    channel.tell({ kind: 'detached', link: this.#link, side, number, ...ending });
  }

  #control(kind: FrameKind | Frame['kind'], sent: boolean): void {
    const known = factsOf(kind);
    if (known !== undefined) this.#frame(known.channel, sent, known.frame, known.facts);
  }

  #frame(number: number, sent: boolean, frame: TracedFrame, facts: FrameFacts): void {
    for (const { channel, side } of this.#places.get(number) ?? NOWHERE) {
      const again = channel.passes(side, sent, frame, facts);
      channel.tell({ kind: 'frame', link: this.#link, side, sent, frame, facts, again });
    }
  }
}

const NOWHERE: readonly Place[] = [];
