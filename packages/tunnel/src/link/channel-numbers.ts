import { TunnelError } from '../errors.ts';
import type { Endpoint } from './endpoint.ts';

/** The channel numbers of one link, and what it has under each. The dialler's are odd, the acceptor's even; none is used twice. */
export class ChannelNumbers {
  readonly #endpoints = new Map<number, Endpoint>();
  readonly #max: number;
  #nextOwn: number;
  #lastPeer: number;

  constructor(dialler: boolean, max: number) {
    this.#max = max;
    this.#nextOwn = dialler ? 1 : 2;
    this.#lastPeer = dialler ? 0 : -1;
  }

  get size(): number {
    return this.#endpoints.size;
  }

  endpoints(): Iterable<Endpoint> {
    return this.#endpoints.values();
  }

  /** Why no channel more may be opened, by either side; undefined: it may. */
  get full(): string | undefined {
    if (this.#endpoints.size < this.#max) return undefined;
    return `The link already carries ${this.#max} channels.`;
  }

  /** A number of one's own. */
  next(): number {
    const number = this.#nextOwn;
    this.#nextOwn += 2;
    return number;
  }

  /** The peer takes a number into use. Throws TunnelError `protocol-error` when it is not its to take. */
  take(number: number): void {
    if (this.#isOwn(number) || number <= this.#lastPeer) {
      throw new TunnelError(
        'protocol-error',
        `The peer opened channel ${number}, which is not its to open.`,
      );
    }
    this.#lastPeer = number;
  }

  /**
   * Undefined: the channel is closed; frames for it are late, and harmless.
   * Throws TunnelError `protocol-error` for one that was never opened.
   */
  find(number: number): Endpoint | undefined {
    const endpoint = this.#endpoints.get(number);
    if (endpoint === undefined) this.#checkKnown(number);
    return endpoint;
  }

  /** Returns what had the number before. */
  set(endpoint: Endpoint): Endpoint | undefined {
    const before = this.#endpoints.get(endpoint.number);
    this.#endpoints.set(endpoint.number, endpoint);
    return before;
  }

  /** False: something else has taken its number over. */
  delete(endpoint: Endpoint): boolean {
    if (this.#endpoints.get(endpoint.number) !== endpoint) return false;
    return this.#endpoints.delete(endpoint.number);
  }

  /** Returns all that there were. */
  clear(): Endpoint[] {
    const all = [...this.#endpoints.values()];
    this.#endpoints.clear();
    return all;
  }

  #isOwn(number: number): boolean {
    return number % 2 === this.#nextOwn % 2;
  }

  #checkKnown(number: number): void {
    if (this.#isOwn(number) ? number < this.#nextOwn : number <= this.#lastPeer) return;
    throw new TunnelError(
      'protocol-error',
      `The peer sent a frame for channel ${number}, which was never opened.`,
    );
  }
}
