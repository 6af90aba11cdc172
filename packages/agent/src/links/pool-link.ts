import type { Channel, Link, LinkHandler, TunnelError, WelcomeInfo } from '@burrow/tunnel';
import type { TransportName } from './transports.ts';

export interface PoolLinkEvents {
  onChannel(channel: Channel): void;
  onDrain(link: PoolLink, deadlineMs: number, reason: string): void;
  onClose(link: PoolLink, error: TunnelError): void;
}

/** One link of the pool, from its dial on: events may come before the dial's promise is settled. */
export class PoolLink implements LinkHandler {
  readonly #events: PoolLinkEvents;
  link: Link | undefined;
  welcome: WelcomeInfo | undefined;
  transport: TransportName | undefined;
  /** Clock ms. */
  since = 0;
  /** The relay, or the pool, wants it to end; it is not counted any more. */
  leaving = false;
  leavingSince = 0;
  closedBy: TunnelError | undefined;

  constructor(events: PoolLinkEvents) {
    this.#events = events;
  }

  onChannel(channel: Channel): void {
    this.#events.onChannel(channel);
  }

  onDrain(deadlineMs: number, reason: string): void {
    this.#events.onDrain(this, deadlineMs, reason);
  }

  onClose(error: TunnelError): void {
    this.closedBy = error;
    this.#events.onClose(this, error);
  }
}
