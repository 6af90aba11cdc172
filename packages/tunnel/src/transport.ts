import type { TunnelError } from './errors.ts';

/** What a link hears from its transport. */
export interface TransportHandler {
  /** Bytes arrived; frames may be cut anywhere. */
  onBytes(chunk: Buffer): void;
  /** The last `send` has left this process: the next may follow. */
  onSent(): void;
  /** The last call, exactly once, however the transport ended. */
  onClose(error: TunnelError): void;
}

/**
 * Carries the bytes of one link. At most one `send` is under way at a time:
 * so what waits inside the transport stays short, and an urgent frame never
 * queues behind a long one.
 */
export interface Transport {
  setHandler(handler: TransportHandler): void;
  /** Whole frames. The transport owns the chunks. */
  send(chunks: Buffer[], bytes: number): void;
  /** Tells the other side why, sends what is under way, ends within CLOSE_TIMEOUT_MS. Idempotent. */
  close(error: TunnelError): void;
}
