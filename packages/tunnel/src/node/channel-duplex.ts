import { Duplex } from 'node:stream';

import type { TunnelError } from '../errors.ts';
import type { Channel, ChannelHandler } from '../types.ts';

/**
 * A channel as a Node stream, for libraries that want one. Credit is given as
 * the reader takes bytes; destroying the stream resets the channel. The stream
 * fails with TunnelError when the channel is reset or its link is lost.
 */
export function channelToDuplex(channel: Channel): Duplex {
  const duplex = new ChannelDuplex(channel);
  channel.setHandler(duplex.handler);
  return duplex;
}

class ChannelDuplex extends Duplex {
  readonly #channel: Channel;
  #resume: (() => void) | undefined;
  /** Given to the stream's buffer, not yet taken by its reader. */
  #held = 0;
  #ended = false;

  readonly handler: ChannelHandler = {
    onData: (chunk) => {
      if (this.push(chunk)) this.#channel.consumed(chunk.length);
      else this.#held += chunk.length;
    },
    onEnd: () => {
      this.#ended = true;
      this.push(null);
    },
    onWritable: () => {
      const resume = this.#resume;
      this.#resume = undefined;
      resume?.();
    },
    onClose: (error?: TunnelError) => {
      if (error !== undefined) this.destroy(error);
      else if (!this.#ended) this.push(null);
    },
  };

  constructor(channel: Channel) {
    super({ allowHalfOpen: true });
    this.#channel = channel;
  }

  override _read(): void {
    const held = this.#held;
    this.#held = 0;
    if (held > 0) this.#channel.consumed(held);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#channel.write(chunk)) done();
    else if (this.#channel.closed) done();
    else this.#resume = done;
  }

  override _writev(pieces: { chunk: Buffer }[], done: () => void): void {
    let room = true;
    for (const { chunk } of pieces) room = this.#channel.write(chunk);
    if (room || this.#channel.closed) done();
    else this.#resume = done;
  }

  override _final(done: () => void): void {
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // In order at both ends, the channel ends by itself once its last bytes have left.
    const inOrder = error === null && this.#ended && this.writableFinished;
    if (!this.#channel.closed && !inOrder)
      this.#channel.reset('cancelled', error?.message ?? 'The stream was closed.');
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
    done(error);
  }
}
