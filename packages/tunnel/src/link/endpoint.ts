import type { TunnelError } from '../errors.ts';
import type { Batch } from '../wire/encode.ts';
import type { Viewed } from '../trace/view.ts';
import type { Sender } from './scheduler.ts';

/** Where one end of a channel stands, from Resume or Resumed: tunnel.proto. Offsets in bytes. */
export interface Position {
  readonly received: number;
  readonly limit: number;
  readonly ended: boolean;
}

/** What a link does with a channel number: an end of the channel, or a switch's leg. */
export interface Endpoint extends Sender, Viewed {
  readonly number: number;
  onOpened(initialWindow: number): void;
  /** Throws TunnelError `protocol-error` when the bytes are out of place or over the limit. */
  onData(offset: number, payload: Buffer): void;
  onCredit(acked: number, limit: number, now: number): void;
  onFin(offset: number): void;
  onReset(error: TunnelError): void;
  onResumed(position: Position): void;
  /** The link is to end soon. */
  onDraining(): void;
  /** The other side of the link does not answer, and may be dead. Said again, twice a second, while that is so. */
  onSilent(): void;
  /** This attachment has ended; the channel has not. */
  onDetached(error: TunnelError): void;
  /** The link is gone. */
  onLinkLost(error: TunnelError): void;
  /** Puts at most `max` payload bytes into the batch; returns how many. */
  emit(batch: Batch, max: number, now: number): number;
  /** A Credit is owed since a while: put it into the batch. */
  emitCredit(batch: Batch): void;
  /** After the batch has left: tell the user, if it waits for room. */
  afterEmit(): void;
}
