import { globalRequest, MESSAGE } from '@burrow/ssh';

/** Answers of the gateway's own that may wait: a client asks for one. */
const MAX_OWN = 8;

/**
 * Global requests are answered in the order in which they were asked (RFC 4254
 * 4), without naming them. Those that were passed on are answered by the
 * workload; the gateway's own answers must wait for their turn among them.
 */
export class ReplyOrder {
  /** A number: answers of the workload to come before what follows. */
  readonly #waiting: (Buffer | number)[] = [];
  readonly #send: (payload: Buffer) => void;
  #own = 0;

  constructor(send: (payload: Buffer) => void) {
    this.#send = send;
  }

  /** A message of the client was passed on. */
  asked(payload: Buffer): void {
    if (globalRequest(payload)?.wantsReply !== true) return;
    const last = this.#waiting.at(-1);
    if (typeof last === 'number') this.#waiting[this.#waiting.length - 1] = last + 1;
    else this.#waiting.push(1);
  }

  /** A message of the workload was passed to the client. */
  answered(payload: Buffer): void {
    const type = payload[0];
    if (type !== MESSAGE.REQUEST_SUCCESS && type !== MESSAGE.REQUEST_FAILURE) return;
    const first = this.#waiting[0];
    if (typeof first === 'number') {
      if (first === 1) this.#waiting.shift();
      else this.#waiting[0] = first - 1;
    }
    this.#flush();
  }

  /** An answer of the gateway's own; past a few that wait, they are dropped. */
  own(payload: Buffer): void {
    if (this.#own >= MAX_OWN) return;
    this.#own += 1;
    this.#waiting.push(payload);
    this.#flush();
  }

  #flush(): void {
    for (;;) {
      const first = this.#waiting[0];
      if (first === undefined || typeof first === 'number') return;
      this.#waiting.shift();
      this.#own -= 1;
      this.#send(first);
    }
  }
}
