/**
 * The server's side of HTTP/1 on one socket: reads requests one after the
 * other, asks the policy, passes bytes both ways as they come. Bytes wait in two
 * places only, both bounded: `#held` (later requests, or a body whose upstream is
 * not there yet) and the socket's own buffer (at most one upstream window).
 */
import type { Duplex } from 'node:stream';
import { RelayError } from '../errors.ts';
import { AccessWatch, WATCH_AFTER_MS, logLost } from './access-watch.ts';
import { lookup } from './characters.ts';
import { clientOfHead, forwardedBy } from './client-of-head.ts';
import type { ConnectionInfo, Engine, FrontConnection } from './engine.ts';
import { type Exchange, type ResponseBody, type ResponseSink } from './exchange.ts';
import { failureAnswer } from './failure-answer.ts';
import type { Decision, LocalResponse, RequestHead } from './gate-policy.ts';
import { HeadError, findHeadEnd, resumeAt } from './h1-head.ts';
import {
  interimHeadText,
  localResponseBytes,
  responseHeadText,
  type OutFraming,
} from './h1-output.ts';
import { H1RequestBody } from './h1-request-body.ts';
import { parseRequestFields, parseRequestLine, type RequestLine } from './h1-request.ts';
import type { ResponseHead } from './h1-response.ts';
import { H1ResponseWriter } from './h1-response-writer.ts';
import { methodClass, passedUpgrade, repeatable, type KnownFields } from './h1-known-fields.ts';
import { logCut } from './log-cut.ts';
import { PlainRequestHead, nextRequestId } from './request-head.ts';
import { SlowReader, acceptedBytes } from './slow-reader.ts';
import type { Passed, Route } from './route.ts';
import { GOING_AWAY, POLICY_VIOLATION, WebSocketPassage } from './ws-passage.ts';
import { ACCESS_GONE, RESTARTING } from './ws-reasons.ts';

/** Between requests, or within a head. */
const HEAD = 0;
/** Waiting for the policy or for an agent's link. */
const DECIDE = 1;
const EXCHANGE = 2;
const UPGRADED = 3;
/** Our last byte is written; what still comes is thrown away. */
const LINGER = 4;
const CLOSED = 5;

const NEVER = Number.POSITIVE_INFINITY;

export class H1Front implements ResponseSink, FrontConnection {
  readonly #engine: Engine;
  readonly #socket: Duplex;
  readonly #info: ConnectionInfo;
  #state = HEAD;
  #deadline: number;
  #held: Buffer | undefined;
  #scanned = 0;
  #advancing = false;
  #readPaused = false;
  #clientEnded = false;

  #known: KnownFields | undefined;
  #line: RequestLine | undefined;
  #route: Route | undefined;
  #exchange: Exchange | undefined;
  /** Of this request, for the log. */
  #channel: string | undefined;
  #retried = false;
  #started = 0;
  #status = 0;
  #id = '';
  #waiting: AbortController | undefined;
  #watch: AccessWatch | undefined;
  #reader: SlowReader | undefined;
  #webSocket: WebSocketPassage | undefined;

  readonly #body: H1RequestBody;
  #refused = false;

  /** Of the response. */
  #keepAlive = true;
  #responseDone = false;
  readonly #out: H1ResponseWriter;

  constructor(engine: Engine, socket: Duplex, info: ConnectionInfo, head?: Buffer) {
    this.#engine = engine;
    this.#socket = socket;
    this.#out = new H1ResponseWriter(socket);
    this.#body = new H1RequestBody(engine.limits);
    this.#info = info;
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

  // Lifecycle

  get idle(): boolean {
    return this.#state === HEAD;
  }

  tick(now: number): void {
    if (
      this.#state === UPGRADED ||
      (this.#state === EXCHANGE && now - this.#started >= WATCH_AFTER_MS)
    ) {
      this.#lookAtAccess();
      if (!this.#body.done && this.#state === EXCHANGE) this.#lookAtBody(now);
    }
    const waiting = this.#socket.writableLength > 0;
    if (waiting && this.#takesNothing(now)) {
      this.destroy('the client takes nothing');
      return;
    }
    if (!waiting) this.#reader = undefined;
    if (now < this.#deadline) return;
    if (waiting && this.#state === LINGER) {
      // Its time begins with our last byte.
      this.#deadline = now + this.#engine.limits.lingerMs;
    } else if (
      waiting &&
      this.#state === HEAD &&
      (this.#held === undefined || this.#socket.writableNeedDrain)
    ) {
      this.#deadline = now + this.#engine.limits.idleTimeoutMs;
    } else if (this.#state === HEAD && this.#held !== undefined) {
      this.#malformed(new HeadError(408, 'The request head did not arrive in time.'));
    } else {
      this.destroy('timed out');
    }
  }

  #takesNothing(now: number): boolean {
    this.#reader ??= new SlowReader();
    return this.#reader.stopped(acceptedBytes(this.#socket), now, this.#engine.limits.readerIdleMs);
  }

  #lookAtBody(now: number): void {
    const excused = this.#readPaused || (this.#out.headSent && !this.#responseDone);
    if (this.#body.overdue(now, excused)) {
      this.#brokenBody(new HeadError(408, 'The rest of the request body did not arrive in time.'));
    }
  }

  #lookAtAccess(): void {
    const decision = this.#route?.decision;
    if (this.#exchange === undefined || decision?.kind !== 'app') return;
    if (this.#watch === undefined) {
      const watch = new AccessWatch(
        this.#engine.deps.policy,
        this.#requestHead(),
        decision,
        (now) => {
          if (this.#watch === watch && this.#exchange !== undefined) this.#accessLost(now);
        },
      );
      this.#watch = watch;
    }
    this.#watch.look();
  }

  #accessLost(decision: Decision): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.cancel('Access was taken away.');
    logLost(this.#engine.deps.log, this.#requestHead(), decision, this.#channel);
    if (this.#state === UPGRADED) {
      if (this.#webSocket?.cut(POLICY_VIOLATION, ACCESS_GONE) === true) this.#boundLeaving();
      else this.destroy('access was taken away');
    } else if (this.#out.headSent || decision.kind !== 'respond') this.#cut();
    else this.#respond(decision.response, 'local');
  }

  drain(): void {
    if (this.#state === HEAD && this.#held === undefined) this.#linger();
  }

  leave(): boolean {
    if (this.#state !== UPGRADED) return false;
    if (this.#webSocket?.leave(GOING_AWAY, RESTARTING) !== true) return false;
    this.#boundLeaving();
    return true;
  }

  #boundLeaving(): void {
    this.#deadline = this.#engine.now() + this.#engine.limits.webSocketCloseMs;
  }

  destroy(reason: string): void {
    if (this.#state === EXCHANGE || this.#state === UPGRADED) this.#logCut(reason);
    this.#socket.destroy();
    this.#onClose();
  }

  #onClose(): void {
    if (this.#state === CLOSED) return;
    const unfinished = this.#state === DECIDE || (this.#state === EXCHANGE && !this.#responseDone);
    this.#state = CLOSED;
    this.#held = undefined;
    this.#engine.connections.delete(this);
    this.#waiting?.abort(
      new RelayError('bad-request', 'The client closed the connection.', { blame: 'client' }),
    );
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.cancel('The client closed the connection.');
    if (unfinished) this.#engine.done('aborted', this.#status, this.#started);
  }

  // Bytes from the client

  #onData(chunk: Buffer): void {
    switch (this.#state) {
      case HEAD:
        this.#hold(chunk);
        this.#advance();
        if (
          this.#socket.writableNeedDrain &&
          (this.#held?.length ?? 0) > this.#engine.limits.heldBytes
        ) {
          this.#pauseReading();
        }
        break;
      case EXCHANGE:
        if (this.#body.done || this.#held !== undefined) this.#hold(chunk);
        else {
          this.#body.gaveMore = true;
          this.#feed(chunk);
        }
        break;
      case UPGRADED:
        this.#onUpgradedData(chunk);
        break;
      case DECIDE:
        this.#hold(chunk);
        break;
      default:
    }
  }

  #onUpgradedData(chunk: Buffer): void {
    const passed = this.#webSocket === undefined ? chunk : this.#webSocket.fromClient(chunk);
    if (passed === undefined) return;
    if (this.#exchange?.writeBody(passed, false) === false) this.#pauseReading();
  }

  #hold(chunk: Buffer): void {
    this.#held = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    if (this.#state !== HEAD && this.#held.length > this.#engine.limits.heldBytes) {
      this.#pauseReading();
    }
  }

  #pauseReading(): void {
    this.#readPaused = true;
    this.#socket.pause();
  }

  #resumeReading(): void {
    if (!this.#readPaused) return;
    this.#readPaused = false;
    this.#socket.resume();
  }

  #onEnd(): void {
    this.#clientEnded = true;
    switch (this.#state) {
      case UPGRADED:
        this.#exchange?.endUpgraded();
        if (this.#webSocket?.clientTold === true) this.#socket.end();
        break;
      case EXCHANGE:
      case DECIDE:
        // A closed tab looks the same as `nc` that waits for its answer.
        if (this.#body.done && this.#state === EXCHANGE) {
          this.#keepAlive = false;
          this.#deadline = this.#engine.now() + this.#engine.limits.halfCloseGraceMs;
        } else if (this.#state === DECIDE) {
          this.#keepAlive = false;
        } else this.destroy('client ended');
        break;
      default:
        this.#socket.end();
        if (this.#state === HEAD) this.destroy('client ended');
    }
  }

  #onDrain(): void {
    this.#exchange?.resume();
    if (this.#state !== HEAD) return;
    this.#resumeReading();
    this.#advance();
  }

  // Requests

  /** Starts what `#held` holds, one request after the other, without recursion. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    try {
      while (this.#state === HEAD && this.#held !== undefined && !this.#socket.writableNeedDrain) {
        if (!this.#readHead(this.#held)) break;
      }
    } catch (error) {
      if (error instanceof HeadError) this.#malformed(error);
      else this.#crash(error);
    } finally {
      this.#advancing = false;
    }
  }

  /** False: more bytes are needed. */
  #readHead(buffer: Buffer): boolean {
    const limits = this.#engine.limits;
    // One empty line before a request is forgiven (RFC 9112 section 2.2).
    let start = 0;
    if (buffer[0] === 0x0d) {
      if (buffer.length === 1) return false;
      if (buffer[1] === 0x0a) start = 2;
    }
    if (this.#scanned === 0) this.#deadline = this.#engine.now() + limits.headTimeoutMs;
    const end = findHeadEnd(buffer, start, Math.max(start, this.#scanned));
    if ((end === -1 ? buffer.length : end) - start > limits.headBytes) {
      throw new HeadError(431, `The request head is larger than ${limits.headBytes} bytes.`);
    }
    if (end === -1) {
      this.#scanned = Math.max(1, resumeAt(buffer, start));
      return false;
    }
    this.#scanned = 0;
    if (end === start + 2) throw new HeadError(400, 'The request has no request line.');
    const text = buffer.toString('latin1', start, end - 2);
    const lineEnd = text.indexOf('\r\n');
    const line = parseRequestLine(text.slice(0, lineEnd));
    const known = this.#lookUp(text.slice(lineEnd + 2), line.version);
    const fields = known.fields;
    if (line.authority !== undefined && line.authority !== fields.authority) {
      throw new HeadError(400, 'The request target names another host than the Host field.');
    }
    this.#held = end === buffer.length ? undefined : buffer.subarray(end);
    this.#line = line;
    this.#started = this.#engine.now();
    this.#deadline = NEVER;
    this.#status = 0;
    this.#retried = false;
    this.#watch = undefined;
    this.#out.headSent = false;
    this.#responseDone = this.#refused = false;
    this.#body.start(fields.length);
    this.#keepAlive =
      !this.#engine.draining &&
      !this.#clientEnded &&
      !fields.close &&
      (line.version === '1.1' || fields.keepAlive);
    this.#id = '';
    this.#channel = undefined;
    this.#engine.deps.metrics?.onRequest();
    this.#decide(line, known);
    return true;
  }

  #lookUp(text: string, version: '1.0' | '1.1'): KnownFields {
    const before = this.#known;
    if (before !== undefined && before.text === text && before.version === version) return before;
    const fields = parseRequestFields(text, version, this.#engine.limits);
    const client = clientOfHead(this.#info, fields.headers, this.#engine.deps.trusted);
    return (this.#known = {
      text,
      version,
      fields,
      client,
      route: undefined,
      decidedFor: '',
      policyVersion: -1,
    });
  }

  #decide(line: RequestLine, known: KnownFields): void {
    const policy = this.#engine.deps.policy;
    if (
      known.route !== undefined &&
      known.policyVersion === policy.version &&
      known.decidedFor === methodClass(line.method) &&
      !line.target.startsWith('/.burrow')
    ) {
      this.#begin(known.route, false);
      return;
    }
    const version = policy.version;
    this.#state = DECIDE;
    try {
      const decision = policy.decide(this.#requestHead());
      if (!(decision instanceof Promise)) {
        this.#decided(decision, known, version);
        return;
      }
      decision.then(
        (made) => {
          if (this.#state === DECIDE) this.#decided(made, known, version);
        },
        (error: unknown) => {
          if (this.#state === DECIDE) this.#failed(error, undefined);
        },
      );
    } catch (error) {
      this.#failed(error, undefined);
    }
  }

  #decided(decision: Decision, known: KnownFields, version: number): void {
    if (decision.kind === 'respond') {
      this.#respond(decision.response, 'local');
      return;
    }
    const line = this.#line as RequestLine;
    const { fields, client } = known;
    const upgrade = this.#upgrade();
    try {
      const route =
        known.route?.decision === decision
          ? known.route
          : this.#engine.routes.prepare(decision, {
              headers: fields.headers,
              connection: fields.connection,
              upgrade:
                upgrade === undefined ? undefined : (lookup(fields.headers, 'upgrade') ?? ''),
              by: forwardedBy(this.#info, fields.headers, fields.authority, client.secure),
            });
      known.route = decision.kind === 'app' && decision.reusable === true ? route : undefined;
      known.policyVersion = version;
      known.decidedFor = methodClass(line.method);
      this.#begin(route, false);
    } catch (error) {
      this.#failed(error, undefined);
    }
  }

  #upgrade(): string | undefined {
    return passedUpgrade((this.#known as KnownFields).fields);
  }

  #begin(route: Route, fresh: boolean): void {
    const line = this.#line as RequestLine;
    const fields = (this.#known as KnownFields).fields;
    this.#route = route;
    this.#state = EXCHANGE;
    const framing = fields.length < 0 ? 'Transfer-Encoding: chunked\r\n' : '';
    let first: Buffer | undefined;
    const held = this.#held;
    if (held !== undefined && fields.length > 0) {
      const take = Math.min(fields.length, held.length);
      first = held.subarray(0, take);
    }
    let exchange: Exchange | undefined;
    try {
      exchange = this.#engine.routes.begin(
        route,
        this,
        { method: line.method, length: fields.length, upgrade: this.#upgrade() !== undefined },
        line.target,
        framing,
        first,
        repeatable(line.method, fields),
        fresh,
      );
    } catch (error) {
      this.#failed(error, route);
      return;
    }
    if (exchange === undefined) {
      this.#state = DECIDE;
      this.#waitForLink(route);
      return;
    }
    // `#begin` runs on the event loop; no answer can have come yet.
    this.#exchange = exchange;
    this.#channel = exchange.channel;
    if (first !== undefined && held !== undefined) {
      this.#body.gaveFirst(first);
      this.#held = first.length === held.length ? undefined : held.subarray(first.length);
      if (this.#body.done) this.#endBody();
    } else if (held !== undefined && !this.#body.done) {
      this.#held = undefined;
      this.#feed(held);
      const left = (this.#held as Buffer | undefined)?.length ?? 0;
      this.#body.remember(held.subarray(0, held.length - left));
    }
    if (this.#held === undefined || this.#held.length <= this.#engine.limits.heldBytes) {
      this.#resumeReading();
    }
    if (this.#clientEnded) {
      if (this.#body.done)
        this.#deadline = this.#engine.now() + this.#engine.limits.halfCloseGraceMs;
      else this.destroy('client ended');
    }
  }

  #waitForLink(route: Route): void {
    const waiting = (this.#waiting = new AbortController());
    this.#engine.routes.waitForLink(route.decision as Passed, waiting.signal).then(
      () => {
        if (this.#waiting !== waiting || this.#state !== DECIDE) return;
        this.#waiting = undefined;
        this.#begin(route, true);
      },
      (error: unknown) => {
        if (this.#waiting !== waiting || this.#state !== DECIDE) return;
        this.#waiting = undefined;
        this.#failed(error, route);
      },
    );
  }

  // The request's body

  /** Passes on what belongs to the body; the rest is held. */
  #feed(buffer: Buffer): void {
    const body = this.#body;
    let taken: number;
    try {
      taken = body.feed(buffer, this.#refused ? undefined : this.#exchange);
    } catch (error) {
      this.#brokenBody(error);
      return;
    }
    if (taken < buffer.length) {
      const rest = buffer.subarray(taken);
      this.#held = this.#held === undefined ? rest : Buffer.concat([rest, this.#held]);
    }
    if (body.done) this.#endBody();
    else if (!body.room) this.#pauseReading();
  }

  #endBody(): void {
    const body = this.#body;
    if (!this.#refused) this.#exchange?.endBody(body.trailers, body.raw);
    this.#finishWhenDone();
  }

  #brokenBody(error: unknown): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.cancel('The request body is malformed.');
    const fault =
      error instanceof HeadError ? error : new HeadError(400, 'The request body is malformed.');
    if (this.#out.headSent) this.destroy(fault.message);
    else this.#malformed(fault);
  }

  // ResponseSink

  get rawChunks(): boolean {
    return this.#line?.version === '1.1';
  }

  onInformational(head: ResponseHead): void {
    if (this.#line?.version !== '1.1') return;
    this.#socket.write(interimHeadText(head, (this.#route as Route).rules), 'latin1');
  }

  onHead(head: ResponseHead, body: ResponseBody): void {
    const modern = (this.#line as RequestLine).version === '1.1';
    const framing: OutFraming =
      body === 'none' || body === 'length' ? body : modern ? 'chunked' : 'close';
    this.#status = head.status;
    // A client that was not told to continue may never send its body.
    if (
      !this.#body.seen &&
      !this.#body.done &&
      (this.#known as KnownFields).fields.expectContinue
    ) {
      this.#keepAlive = false;
    }
    if (framing === 'close' || this.#engine.draining) this.#keepAlive = false;
    const route = this.#route as Route;
    const text = responseHeadText(
      head,
      body,
      { framing, close: !this.#keepAlive, sayKeepAlive: this.#keepAlive && !modern },
      route.bucket,
      route.rules,
    );
    this.#out.begin(text, framing, body === 'chunked' && modern);
  }

  onBody(chunk: Buffer, raw: boolean): void {
    const passed = this.#webSocket === undefined ? chunk : this.#webSocket.fromApp(chunk);
    if (passed !== undefined) this.#out.body(passed, raw);
  }

  onComplete(trailers: readonly string[]): void {
    this.#out.end(trailers);
    this.flush();
    this.#responseDone = true;
    this.#finishWhenDone();
  }

  flush(): boolean {
    if (this.#out.headWaits) {
      this.#engine.done((this.#route as Route).decision.kind, this.#status, this.#started);
      if (this.#engine.debug) this.#logRequest(this.#status);
    }
    return this.#out.flush();
  }

  onUpgraded(head: ResponseHead): void {
    this.#state = UPGRADED;
    this.#status = 101;
    this.#responseDone = true;
    this.#out.begin(interimHeadText(head, (this.#route as Route).rules), 'none', false);
    this.flush();
    if (this.#upgrade() === 'websocket') this.#webSocket = this.#passage();
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#onData(held);
    if (this.#clientEnded) this.#exchange?.endUpgraded();
    else this.#resumeReading();
  }

  #passage(): WebSocketPassage {
    return new WebSocketPassage({
      toClient: (frame) => {
        this.#out.body(frame, false);
        this.flush();
        // Its answer is waited for, whatever it was in the middle of.
        this.#resumeReading();
      },
      toApp: (frame) => void this.#exchange?.writeBody(frame, false),
      onDone: () => {
        this.#exchange?.endUpgraded();
        this.#socket.end();
      },
    });
  }

  onUpgradedEnd(): void {
    this.flush();
    this.#socket.end();
  }

  onRequestWritable(): void {
    if (this.#state === UPGRADED || (this.#state === EXCHANGE && !this.#body.done)) {
      this.#resumeReading();
    }
  }

  onRequestRefused(): void {
    this.#refused = true;
    this.#keepAlive = false;
    if (this.#responseDone) this.#finishWhenDone();
  }

  onFailed(error: Error | undefined, untouched: boolean, stale: boolean, unsent: boolean): void {
    this.#exchange = undefined;
    if (this.#state === UPGRADED) {
      if (error === undefined || this.#webSocket?.clientTold === true) this.#socket.end();
      else this.destroy(error.message);
      return;
    }
    if (this.#state !== EXCHANGE) return;
    const line = this.#line as RequestLine;
    const route = this.#route as Route;
    if (this.#responseDone) {
      this.onRequestRefused();
    } else if (this.#out.headWaits) {
      // The fault came in the same bytes as the head: nothing is written yet.
      this.#out.discard();
      this.#failed(error ?? new Error('The app closed the connection.'), route);
    } else if (this.#out.headSent) {
      this.#cut();
    } else if (
      untouched &&
      !this.#retried &&
      ((stale && repeatable(line.method, (this.#known as KnownFields).fields)) ||
        (unsent && this.#rewind()))
    ) {
      this.#retried = true;
      this.#begin(route, true);
    } else {
      this.#failed(error ?? new Error('The app closed the connection.'), route);
    }
  }

  // Ends

  /** Takes back what was given of the body. False: some of it is gone. */
  #rewind(): boolean {
    if (this.#body.gaveMore) return false;
    const given = this.#body.rewind();
    if (given !== undefined) {
      this.#held = this.#held === undefined ? given : Buffer.concat([given, this.#held]);
    }
    return true;
  }

  #finishWhenDone(): void {
    if (!this.#responseDone || this.#state !== EXCHANGE) return;
    if (!this.#body.done) {
      if (!this.#refused) return;
      this.#linger();
      return;
    }
    this.#exchange = undefined;
    this.#route = undefined;
    this.#body.forget();
    if (!this.#keepAlive) {
      this.#linger();
      return;
    }
    this.#state = HEAD;
    this.#deadline = this.#engine.now() + this.#engine.limits.idleTimeoutMs;
    this.#resumeReading();
    this.#advance();
  }

  /** Ends our side, and reads on for a while: a reset would destroy the answer on its way. */
  #linger(): void {
    if (this.#state === CLOSED || this.#state === LINGER) return;
    this.#state = LINGER;
    this.#held = undefined;
    this.#exchange = undefined;
    this.#deadline = this.#engine.now() + this.#engine.limits.lingerMs;
    this.#readPaused = false;
    this.#socket.resume();
    this.#socket.end();
  }

  /** A response that breaks off must not look complete. */
  #cut(): void {
    this.flush();
    const socket = this.#socket as Duplex & { resetAndDestroy?: () => void };
    if (this.#out.framing === 'close' && socket.resetAndDestroy !== undefined)
      socket.resetAndDestroy();
    else socket.destroy();
    this.#onClose();
  }

  #failed(error: unknown, route: Route | undefined): void {
    const { deps } = this.#engine;
    const context = route?.context ?? {};
    const answer = failureAnswer(deps, this.#requestHead(), error, context, this.#channel);
    this.#respond(answer, 'failed');
  }

  #crash(error: unknown): void {
    this.#engine.deps.log.error({ err: error }, 'http connection failed unexpectedly');
    this.destroy('internal error');
  }

  #malformed(error: HeadError): void {
    const { policy, log } = this.#engine.deps;
    log.debug({ status: error.status, reason: error.message }, 'request refused');
    if (this.#line === undefined || this.#state === HEAD) this.#started = this.#engine.now();
    this.#engine.done('malformed', error.status, this.#started);
    this.#socket.write(
      localResponseBytes(policy.badRequest(error.status, error.message), {
        close: true,
        keepAlive10: false,
        head: false,
      }),
    );
    this.#linger();
  }

  #respond(response: LocalResponse, outcome: 'local' | 'failed'): void {
    const line = this.#line as RequestLine;
    this.#state = EXCHANGE;
    this.#exchange = undefined;
    this.#refused = true;
    const held = this.#held;
    if (!this.#body.done && held !== undefined) {
      // Often the whole (small) body came with its head.
      this.#held = undefined;
      this.#feed(held);
      if ((this.#state as number) !== EXCHANGE) return;
    }
    if (!this.#body.done || this.#engine.draining) this.#keepAlive = false;
    this.#status = response.status;
    this.#out.headSent = true;
    this.#engine.done(outcome, response.status, this.#started);
    if (this.#engine.debug) this.#logRequest(response.status);
    this.#socket.write(
      localResponseBytes(response, {
        close: !this.#keepAlive,
        keepAlive10: this.#keepAlive && line.version === '1.0',
        head: line.method === 'HEAD',
      }),
    );
    this.#responseDone = true;
    this.#finishWhenDone();
  }

  #requestId(): string {
    if (this.#id === '') this.#id = nextRequestId();
    return this.#id;
  }

  #requestHead(): RequestHead {
    const line = this.#line as RequestLine;
    const { fields, client } = this.#known as KnownFields;
    return new PlainRequestHead({
      method: line.method,
      target: line.target,
      authority: fields.authority,
      headers: fields.headers,
      secure: client.secure,
      remoteAddress: client.remoteAddress,
      upgrade: this.#upgrade(),
      httpVersion: line.version,
      id: this.#requestId(),
    });
  }

  #logCut(reason: string): void {
    const [request, host] = [this.#requestId(), this.#known?.fields.authority];
    logCut(this.#engine.deps.log, { request, host, channel: this.#channel }, reason);
  }

  /** Without the query: it may hold a code that signs somebody in. */
  #logRequest(status: number): void {
    const line = this.#line as RequestLine;
    const query = line.target.indexOf('?');
    this.#engine.deps.log.debug(
      {
        request: this.#requestId(),
        method: line.method,
        host: this.#known?.fields.authority,
        path: query === -1 ? line.target : line.target.slice(0, query),
        status,
        channel: this.#channel,
      },
      'request',
    );
  }
}
