import { lookup } from './characters.ts';
import { forwardedBy } from './client-of-head.ts';
import { CurrentRequest, type AccessEvents } from './current-request.ts';
import type { ConnectionInfo, Engine } from './engine.ts';
import type { RequestHead } from './gate-policy.ts';
import {
  knownRoute,
  passedUpgrade,
  rememberRoute,
  repeatable,
  type KnownFields,
} from './h1-known-fields.ts';
import type { RequestFields, RequestLine } from './h1-request.ts';
import { PlainRequestHead, nextRequestId } from './request-head.ts';
import type { Passed, Route } from './route.ts';

/** One request after the other of an HTTP/1 connection. */
export class H1CurrentRequest extends CurrentRequest {
  readonly #info: ConnectionInfo;
  #line: RequestLine | undefined;
  #known: KnownFields | undefined;
  #id = '';
  /** The policy's, when it was asked. */
  #version = 0;

  constructor(engine: Engine, info: ConnectionInfo, events: AccessEvents) {
    super(engine, events);
    this.#info = info;
  }

  start(line: RequestLine, known: KnownFields): void {
    this.#line = line;
    this.#known = known;
    this.#id = '';
    this.restart();
  }

  get line(): RequestLine {
    return this.#line as RequestLine;
  }

  get fields(): RequestFields {
    return (this.#known as KnownFields).fields;
  }

  /** The client knows HTTP/1.1: chunks, interim responses. */
  get modern(): boolean {
    return this.line.version === '1.1';
  }

  /** The client wants its connection to stay. */
  get keepsAlive(): boolean {
    const { close, keepAlive } = this.fields;
    return !close && (this.modern || keepAlive);
  }

  get upgrade(): string | undefined {
    return passedUpgrade(this.fields);
  }

  get repeatable(): boolean {
    return repeatable(this.line.method, this.fields);
  }

  get #requestId(): string {
    if (this.#id === '') this.#id = nextRequestId();
    return this.#id;
  }

  /** A new one each time: the policy is seldom asked. */
  get head(): RequestHead {
    const { line, fields } = this;
    const { client } = this.#known as KnownFields;
    return new PlainRequestHead({
      method: line.method,
      target: line.target,
      authority: fields.authority,
      headers: fields.headers,
      secure: client.secure,
      remoteAddress: client.remoteAddress,
      upgrade: this.upgrade,
      httpVersion: line.version,
      id: this.#requestId,
    });
  }

  /** The way of an earlier request with the same fields; undefined: the policy has to be asked. */
  recallRoute(): Route | undefined {
    this.#version = this.engine.deps.policy.version;
    return knownRoute(this.#known as KnownFields, this.line, this.#version);
  }

  prepareRoute(decision: Passed): Route {
    const { line, fields } = this;
    const known = this.#known as KnownFields;
    const route =
      known.route?.decision === decision
        ? known.route
        : this.engine.routes.prepare(decision, {
            headers: fields.headers,
            connection: fields.connection,
            upgrade:
              this.upgrade === undefined ? undefined : (lookup(fields.headers, 'upgrade') ?? ''),
            by: forwardedBy(this.#info, fields.headers, fields.authority, known.client.secure),
          });
    rememberRoute(known, line, route, this.#version);
    return route;
  }

  /** Without the query: it may hold a code that signs somebody in. */
  log(status: number): void {
    const { method, target } = this.line;
    const query = target.indexOf('?');
    this.engine.deps.log.debug(
      {
        request: this.#requestId,
        method,
        host: this.fields.authority,
        path: query === -1 ? target : target.slice(0, query),
        status,
        channel: this.channel,
      },
      'request',
    );
  }
}
