/**
 * The server's side of HTTP/1 on one socket: requests take turns, and between two of them the
 * connection idles, drains or ends.
 */
import type { Duplex } from 'node:stream';
import type { ConnectionInfo, Engine, FrontConnection } from './engine.ts';
import { HeadError } from './h1-head.ts';
import { H1Inlet } from './h1-inlet.ts';
import { localResponseBytes } from './h1-output.ts';
import { H1RequestReader } from './h1-request-reader.ts';
import { H1Turn, type TurnConnection } from './h1-turn.ts';
import { SlowReader, acceptedBytes } from './slow-reader.ts';

/** Between requests, or within a head. */
const READING = 0;
/** A request has its turn. */
const SERVING = 1;
/** Our last byte is written; what still comes is thrown away. */
const LINGERING = 2;
const CLOSED = 3;

const NEVER = Number.POSITIVE_INFINITY;

export class H1Front implements FrontConnection, TurnConnection {
  readonly #engine: Engine;
  readonly #socket: Duplex;
  readonly #inlet: H1Inlet;
  readonly #heads: H1RequestReader;
  readonly #turn: H1Turn;
  #state = READING;
  #deadline: number;
  #advancing = false;
  #reader: SlowReader | undefined;

  constructor(engine: Engine, socket: Duplex, info: ConnectionInfo, head?: Buffer) {
    this.#engine = engine;
    this.#socket = socket;
    this.#inlet = new H1Inlet(socket, engine.limits.heldBytes);
    this.#heads = new H1RequestReader(engine, info);
    this.#turn = new H1Turn(engine, socket, info, this.#inlet, this);
    this.#deadline = engine.now() + engine.limits.headTimeoutMs;
    engine.connections.add(this);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.#onEnd());
    socket.on('drain', () => this.#onDrain());
    socket.on('error', () => {});
    socket.on('close', () => this.#onClose());
    if (socket.destroyed) this.#onClose();
    else if (head !== undefined && head.length > 0) this.#onData(head);
  }

  get idle(): boolean {
    return this.#state === READING;
  }

  tick(now: number): void {
    if (this.#state === SERVING) this.#turn.tick(now);
    const waiting = this.#socket.writableLength > 0;
    if (waiting && this.#takesNothing(now)) {
      this.destroy('the client takes nothing');
      return;
    }
    if (!waiting) this.#reader = undefined;
    if (now >= this.#deadline) this.#onDeadline(now, waiting);
  }

  #takesNothing(now: number): boolean {
    this.#reader ??= new SlowReader();
    return this.#reader.stopped(acceptedBytes(this.#socket), now, this.#engine.limits.readerIdleMs);
  }

  /** `waiting`: bytes wait for the client to take them. */
  #onDeadline(now: number, waiting: boolean): void {
    const { held } = this.#inlet;
    if (waiting && this.#state === LINGERING) {
      // Its time begins with our last byte.
      this.#deadline = now + this.#engine.limits.lingerMs;
    } else if (
      waiting &&
      this.#state === READING &&
      (held === undefined || this.#socket.writableNeedDrain)
    ) {
      this.#deadline = now + this.#engine.limits.idleTimeoutMs;
    } else if (this.#state === READING && held !== undefined) {
      this.refuse(new HeadError(408, 'The request head did not arrive in time.'), now);
    } else {
      this.destroy('timed out');
    }
  }

  drain(): void {
    if (this.#state === READING && this.#inlet.held === undefined) this.linger();
  }

  leave(): boolean {
    return this.#turn.leave();
  }

  destroy(reason: string): void {
    if (this.#state === SERVING) this.#turn.logCut(reason);
    this.#socket.destroy();
    this.#onClose();
  }

  // The socket

  #onData(chunk: Buffer): void {
    switch (this.#state) {
      case READING:
        this.#inlet.add(chunk);
        this.#advance();
        if (this.#socket.writableNeedDrain && this.#inlet.full) this.#inlet.pause();
        break;
      case SERVING:
        this.#turn.onData(chunk);
        break;
      default:
    }
  }

  #onEnd(): void {
    this.#inlet.ended = true;
    if (this.#state === SERVING) {
      this.#turn.onEnd();
      return;
    }
    this.#socket.end();
    if (this.#state === READING) this.destroy('client ended');
  }

  #onDrain(): void {
    this.#turn.resume();
    if (this.#state !== READING) return;
    this.#inlet.resume();
    this.#advance();
  }

  #onClose(): void {
    if (this.#state === CLOSED) return;
    this.#state = CLOSED;
    this.#inlet.held = undefined;
    this.#engine.connections.delete(this);
    this.#turn.abandon();
  }

  // Requests

  /** Starts what is held, one request after the other, without recursion. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    try {
      while (
        this.#state === READING &&
        this.#inlet.held !== undefined &&
        !this.#socket.writableNeedDrain
      ) {
        if (!this.#startTurn(this.#inlet.held)) break;
      }
    } catch (error) {
      if (error instanceof HeadError) this.refuse(error, this.#engine.now());
      else this.#crash(error);
    } finally {
      this.#advancing = false;
    }
  }

  /** False: more bytes are needed. */
  #startTurn(held: Buffer): boolean {
    const heads = this.#heads;
    const begun = heads.begun;
    const bytes = heads.read(held);
    if (bytes === 0) {
      if (!begun && heads.begun) this.endWithin(this.#engine.limits.headTimeoutMs);
      return false;
    }
    this.#inlet.drop(bytes);
    this.#deadline = NEVER;
    this.#state = SERVING;
    this.#turn.start(heads.line, heads.known);
    return true;
  }

  // Of the turn

  onTurnDone(): void {
    this.#state = READING;
    this.endWithin(this.#engine.limits.idleTimeoutMs);
    this.#inlet.resume();
    this.#advance();
  }

  endWithin(ms: number): void {
    this.#deadline = this.#engine.now() + ms;
  }

  // Ends

  refuse(error: HeadError, started: number): void {
    const { policy, log } = this.#engine.deps;
    log.debug({ status: error.status, reason: error.message }, 'request refused');
    this.#engine.done('malformed', error.status, started);
    this.#socket.write(
      localResponseBytes(policy.badRequest(error.status, error.message), {
        close: true,
        keepAlive10: false,
        head: false,
      }),
    );
    this.linger();
  }

  /** Ends our side, and reads on for a while: a reset would destroy the answer on its way. */
  linger(): void {
    if (this.#state === CLOSED || this.#state === LINGERING) return;
    this.#state = LINGERING;
    this.endWithin(this.#engine.limits.lingerMs);
    this.#inlet.discard();
    this.#socket.end();
  }

  breakOff(reset: boolean): void {
    const socket = this.#socket as Duplex & { resetAndDestroy?: () => void };
    if (reset && socket.resetAndDestroy !== undefined) socket.resetAndDestroy();
    else socket.destroy();
    this.#onClose();
  }

  #crash(error: unknown): void {
    this.#engine.deps.log.error({ err: error }, 'http connection failed unexpectedly');
    this.destroy('internal error');
  }
}
