/** One answer after the other on an HTTP/1 connection: the app's, or one of our own. */
import type { Duplex } from 'node:stream';
import type { Engine } from './engine.ts';
import type { ResponseBody } from './exchange.ts';
import type { LocalResponse } from './gate-policy.ts';
import type { H1CurrentRequest } from './h1-current-request.ts';
import {
  interimHeadText,
  localResponseBytes,
  responseHeadText,
  type OutFraming,
} from './h1-output.ts';
import type { ResponseHead } from './h1-response.ts';
import { H1ResponseWriter } from './h1-response-writer.ts';
import type { Route } from './route.ts';

export class H1Answer {
  /** The connection may stay when it is complete. */
  keepAlive = true;
  readonly #engine: Engine;
  readonly #socket: Duplex;
  readonly #request: H1CurrentRequest;
  readonly #out: H1ResponseWriter;
  #status = 0;
  #done = false;

  constructor(engine: Engine, socket: Duplex, request: H1CurrentRequest) {
    this.#engine = engine;
    this.#socket = socket;
    this.#request = request;
    this.#out = new H1ResponseWriter(socket);
  }

  /** `ended`: the client asks nothing more. */
  start(ended: boolean): void {
    this.keepAlive = !ended && !this.#engine.draining && this.#request.keepsAlive;
    this.#status = 0;
    this.#done = false;
    this.#out.headSent = false;
  }

  /** 0: there is none yet. */
  get status(): number {
    return this.#status;
  }

  /** The client has, or will get, a head: there can be no other answer. */
  get begun(): boolean {
    return this.#out.headSent;
  }

  /** Its head waits for the end of its batch: it can still be taken back. */
  get headWaits(): boolean {
    return this.#out.headWaits;
  }

  /** All of it was given to the socket. */
  get done(): boolean {
    return this.#done;
  }

  get flows(): boolean {
    return this.begun && !this.#done;
  }

  /** The end of the connection would be the end of its body. */
  get endsByClose(): boolean {
    return this.#out.framing === 'close';
  }

  get #route(): Route {
    return this.#request.route as Route;
  }

  interim(head: ResponseHead): void {
    if (!this.#request.modern) return;
    this.#socket.write(interimHeadText(head, this.#route.rules), 'latin1');
  }

  head(head: ResponseHead, body: ResponseBody): void {
    const { modern } = this.#request;
    const framing: OutFraming =
      body === 'none' || body === 'length' ? body : modern ? 'chunked' : 'close';
    this.#status = head.status;
    if (framing === 'close' || this.#engine.draining) this.keepAlive = false;
    const { bucket, rules } = this.#route;
    const text = responseHeadText(
      head,
      body,
      { framing, close: !this.keepAlive, sayKeepAlive: this.keepAlive && !modern },
      bucket,
      rules,
    );
    this.#out.begin(text, framing, body === 'chunked' && modern);
  }

  /** 101. */
  switched(head: ResponseHead): void {
    this.#status = 101;
    this.#done = true;
    this.#out.begin(interimHeadText(head, this.#route.rules), 'none', false);
    this.flush();
  }

  /** `raw`: with its chunk framing. Also what an upgraded connection says. */
  body(chunk: Buffer, raw: boolean): void {
    this.#out.body(chunk, raw);
  }

  end(trailers: readonly string[]): void {
    this.#out.end(trailers);
    this.flush();
    this.#done = true;
  }

  /** What was collected leaves. False: the client takes no more until `drain`. */
  flush(): boolean {
    if (this.#out.headWaits) this.#count(this.#route.decision.kind);
    return this.#out.flush();
  }

  /** Takes back a head that still waits. */
  discard(): void {
    this.#out.discard();
  }

  /** A complete answer of our own. */
  local(response: LocalResponse, outcome: 'local' | 'failed'): void {
    const { modern, line } = this.#request;
    this.#status = response.status;
    this.#out.headSent = true;
    this.#count(outcome);
    this.#socket.write(
      localResponseBytes(response, {
        close: !this.keepAlive,
        keepAlive10: this.keepAlive && !modern,
        head: line.method === 'HEAD',
      }),
    );
    this.#done = true;
  }

  #count(outcome: 'app' | 'control' | 'local' | 'failed'): void {
    this.#request.done(outcome, this.#status);
    if (this.#engine.debug) this.#request.log(this.#status);
  }
}
