import type { Duplex } from 'node:stream';
import { EXTENSIONS } from './extensions.ts';
import { describeFailure } from './failures.ts';
import { Handles } from './handles.ts';
import { PacketCutter, type Packet } from './packets.ts';
import { Fields, MalformedError, packet, REPLY, REQUEST, STATUS, status } from './protocol.ts';
import { ReplyBuffers } from './reply-buffers.ts';
import { prepare, type RequestContext } from './requests.ts';
import { Schedule } from './schedule.ts';
import { WriteTask } from './write-task.ts';

export interface SftpOptions {
  /** What paths are relative to; absolute. Undefined: `home`. */
  readonly start?: string;
  /** What `~` stands for; absolute. */
  readonly home: string;
  /** When it aborts, the session is over: what it has open is closed. */
  readonly signal: AbortSignal;
}

/** An SSH channel (ssh2's ServerChannel), or any other stream of bytes both ways. */
export type SftpChannel = Duplex & { exit?: (status: number) => void };

/**
 * Serves SFTP, version 3 with OpenSSH's extensions, on a channel of its own,
 * and ends the channel when the client has ended its side. Memory is bounded:
 * the client is held back while requests or replies pile up.
 *
 * It speaks on the plain channel, and not through ssh2's SFTPWrapper, which
 * decodes names as UTF-8, offers no extensions and never holds a client back.
 */
export function serveSftp(channel: SftpChannel, options: SftpOptions): void {
  if (options.signal.aborted) {
    channel.destroy();
    return;
  }
  new SftpSession(channel, options);
}

class SftpSession {
  readonly #channel: SftpChannel;
  readonly #handles = new Handles();
  readonly #context: RequestContext;
  readonly #buffers = new ReplyBuffers();
  /** ssh2's channels have copied what they were given when they call back; other streams may not. */
  readonly #reuse: boolean;
  readonly #signal: AbortSignal;
  readonly #cutter = new PacketCutter();
  readonly #schedule: Schedule;
  /** Resolves once all that began so far is replied. */
  #replied: Promise<void> = Promise.resolve();
  #begun = false;
  #ended = false;
  #over = false;

  constructor(channel: SftpChannel, { home, start = home, signal }: SftpOptions) {
    this.#channel = channel;
    this.#context = {
      start,
      home,
      handles: this.#handles,
      buffers: this.#buffers,
      stopped: () => this.#over,
    };
    this.#reuse = channel.exit !== undefined;
    this.#signal = signal;
    this.#schedule = new Schedule(
      () => this.#onRoom(),
      () => this.#onIdle(),
    );
    signal.addEventListener('abort', this.#stop, { once: true });
    channel.on('close', this.#stop);
    channel.on('error', this.#stop);
    channel.on('end', () => {
      this.#ended = true;
      if (this.#schedule.idle) this.#onIdle();
    });
    channel.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  /** The client, the connection or the agent is gone. */
  readonly #stop = (): void => {
    if (this.#over) return;
    this.#over = true;
    this.#signal.removeEventListener('abort', this.#stop);
    this.#channel.resume();
    this.#schedule.stop();
    this.#channel.destroy();
  };

  #receive(chunk: Buffer): void {
    if (this.#over) return;
    try {
      for (const one of this.#cutter.cut(chunk)) this.#take(one);
    } catch {
      // Where the next packet begins is not known any more.
      this.#channel.exit?.(1);
      this.#stop();
      return;
    }
    this.#schedule.start();
    if (this.#schedule.full) this.#channel.pause();
  }

  #take(one: Packet): void {
    const type = one.head[0] ?? 0;
    const fields = new Fields(one.head);
    if (!this.#begun) {
      if (type !== REQUEST.INIT) throw new MalformedError('The first packet is to be INIT.');
      this.#begun = true;
      const offers = Object.entries(EXTENSIONS).flatMap(([name, { version }]) => [name, version]);
      this.#send(packet(REPLY.VERSION, 3, ...offers));
      return;
    }
    // Without it nothing can be replied; any other fault is told to the client.
    const id = fields.uint32();
    try {
      if (type === REQUEST.WRITE) {
        this.#schedule.add(new WriteTask(one, id, fields, this.#handles, this.#reply));
        return;
      }
      const work = prepare(this.#context, type, id, fields);
      this.#schedule.add({
        shared: work.shared,
        size: one.size,
        reply: work.reply ?? 0,
        run: () => this.#inOrder(id, () => work.run()),
      });
    } catch (error) {
      this.#reply(id, error);
    }
  }

  /**
   * What runs side by side is replied in the order it was asked, as OpenSSH's server does:
   * scp of OpenSSH 9.2 cuts a file off where one reply overtook another, and reports success.
   */
  async #inOrder(id: number, work: () => Promise<Buffer | undefined>): Promise<void> {
    const before = this.#replied;
    let settled = (): void => {};
    this.#replied = new Promise((resolve) => (settled = resolve));
    try {
      const reply = await work();
      await before;
      if (reply === undefined) this.#reply(id, undefined);
      else this.#send(reply);
    } catch (error) {
      await before;
      this.#reply(id, error);
    } finally {
      settled();
    }
  }

  readonly #reply = (id: number, error: unknown): void => {
    if (error === undefined) return this.#send(status(id, STATUS.OK, ''));
    const { code, sentence } = describeFailure(error);
    return this.#send(status(id, code, sentence));
  };

  #send(reply: Buffer): void {
    if (this.#over) return;
    this.#schedule.replying(reply.length);
    this.#channel.write(reply, () => {
      if (this.#reuse) this.#buffers.give(reply);
      this.#schedule.replied(reply.length);
    });
  }

  #onRoom(): void {
    if (!this.#over && this.#channel.isPaused() && !this.#schedule.full) this.#channel.resume();
  }

  #onIdle(): void {
    if (!this.#over && !this.#ended) return;
    void this.#handles.closeAll();
    if (this.#over || !this.#ended) return;
    this.#over = true;
    this.#signal.removeEventListener('abort', this.#stop);
    this.#channel.exit?.(0);
    this.#channel.end();
  }
}
