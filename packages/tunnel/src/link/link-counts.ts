import type { LinkStats } from '../types.ts';
import type { ChannelNumbers } from './channel-numbers.ts';
import type { Inbox } from './inbox.ts';
import type { Outbox } from './outbox.ts';
import type { Silence } from './silence.ts';

/** A link's numbers, where its parts keep them; what no part keeps is counted here. */
export class LinkCounts implements LinkStats {
  queuedBytes = 0;
  stalls = 0;
  readonly #numbers: ChannelNumbers;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #silence: Silence;

  constructor(numbers: ChannelNumbers, inbox: Inbox, outbox: Outbox, silence: Silence) {
    this.#numbers = numbers;
    this.#inbox = inbox;
    this.#outbox = outbox;
    this.#silence = silence;
  }

  get channels(): number {
    return this.#numbers.size;
  }

  get bytesIn(): number {
    return this.#inbox.bytesIn;
  }

  get bytesOut(): number {
    return this.#outbox.bytesOut;
  }

  get rttMs(): number | undefined {
    return this.#outbox.rttMs;
  }

  get bulk(): boolean {
    return this.#outbox.bulk;
  }

  get silent(): boolean {
    return this.#silence.silent;
  }
}
