import type { ChannelErrorCode } from '../errors.ts';
import type { Link } from '../types.ts';
import type { FrameKind } from '../wire/encode.ts';
import type { Endpoint } from './endpoint.ts';

/** What the end of a channel asks of its link. */
export interface ChannelHost extends Link {
  readonly rttEstimateMs: number;
  /** Bytes on a new channel before it is answered. */
  readonly maySendFirst: number;
  /** The endpoint has something to send. */
  wake(endpoint: Endpoint): void;
  send(frame: FrameKind): void;
  sendOpened(endpoint: Endpoint, initialWindow: number): void;
  sendCreditNow(endpoint: Endpoint): void;
  sendCreditLater(endpoint: Endpoint): void;
  sendReset(endpoint: Endpoint, code: ChannelErrorCode, reason: string): void;
  /** The endpoint is done with its number. */
  forget(endpoint: Endpoint): void;
  onStall(): void;
  /** `Opened` came for a channel of one's own, so long after its `Open`. */
  onChannelOpened(waitedMs: number): void;
  /** So many more bytes (or fewer, when negative) wait in an endpoint's queue. */
  onQueued(bytes: number): void;
}
