/** The server's side of one HTTP/2 request: its stream, from the first field to the close of both halves. */
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { ConnectionInfo, Engine, FrontConnection } from './engine.ts';
import { H2Turn, type TurnStream } from './h2-turn.ts';
import { SlowReader } from './slow-reader.ts';

export class H2Front implements FrontConnection, TurnStream {
  readonly idle = false;
  readonly #engine: Engine;
  readonly #stream: ServerHttp2Stream;
  readonly #turn: H2Turn;
  #reader: SlowReader | undefined;
  /** An ended WebSocket's client may answer until then. */
  #leaveBy = Number.POSITIVE_INFINITY;

  constructor(
    engine: Engine,
    stream: ServerHttp2Stream,
    rawHeaders: readonly string[],
    info: ConnectionInfo,
  ) {
    this.#engine = engine;
    this.#stream = stream;
    this.#turn = new H2Turn(engine, stream, info, this);
    engine.connections.add(this);
    stream.on('error', () => {});
    stream.on('aborted', () => stream.close(constants.NGHTTP2_CANCEL));
    stream.on('close', () => this.#onClose());
    stream.on('drain', () => this.#turn.resume());
    this.#turn.start(rawHeaders);
  }

  tick(now: number): void {
    if (now >= this.#leaveBy) return this.destroy('timed out');
    this.#turn.tick(now);
    if (this.#stream.writableLength > 0) this.#lookAtReader(now);
    else this.#reader = undefined;
  }

  #lookAtReader(now: number): void {
    this.#reader ??= new SlowReader();
    if (!this.#reader.stopped(this.#turn.accepted, now, this.#engine.limits.readerIdleMs)) return;
    this.destroy('the client takes nothing');
    // The reset may never leave, on a connection that is full.
    this.#stream.destroy();
  }

  drain(): void {}

  leave(): boolean {
    return this.#turn.leave();
  }

  boundLeaving(): void {
    this.#leaveBy = this.#engine.now() + this.#engine.limits.webSocketCloseMs;
  }

  destroy(reason: string): void {
    this.#turn.logCut(reason);
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#onClose();
  }

  #onClose(): void {
    if (this.#engine.connections.delete(this)) this.#turn.abandon();
  }
}
