import { once, EventEmitter } from 'node:events';

import type { TunnelError } from '../errors.ts';
import type { Channel, ChannelHandler } from '../types.ts';

/** A channel's user for tests: keeps what arrives, and lets a test wait for it. */
export class Recorder implements ChannelHandler {
  readonly #events = new EventEmitter();
  #chunks: Buffer[] = [];
  bytes = 0;
  opened = false;
  ended = false;
  closed = false;
  error: TunnelError | undefined;
  writable = 0;
  /** Whether what arrives is handed on at once. */
  reading = true;
  channel: Channel | undefined;

  onOpened(): void {
    this.opened = true;
    this.#events.emit('change');
  }

  onData(chunk: Buffer): void {
    this.#chunks.push(Buffer.from(chunk));
    this.bytes += chunk.length;
    if (this.reading) this.channel?.consumed(chunk.length);
    this.#events.emit('change');
  }

  onEnd(): void {
    this.ended = true;
    this.#events.emit('change');
  }

  onWritable(): void {
    this.writable++;
    this.#events.emit('change');
  }

  onClose(error?: TunnelError): void {
    if (this.closed) throw new Error('onClose came twice');
    this.closed = true;
    this.error = error;
    this.#events.emit('change');
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Resolves once the condition holds; rejects after 5 s. */
  async until(condition: (self: this) => boolean): Promise<void> {
    const signal = AbortSignal.timeout(5_000);
    while (!condition(this)) await once(this.#events, 'change', { signal });
  }
}
