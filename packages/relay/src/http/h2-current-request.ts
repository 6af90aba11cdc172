import { clientOfHead, forwardedBy } from './client-of-head.ts';
import { CurrentRequest, type AccessEvents } from './current-request.ts';
import type { ConnectionInfo, Engine } from './engine.ts';
import type { RequestHead } from './gate-policy.ts';
import type { H2Head } from './h2-request.ts';
import { PlainRequestHead, nextRequestId } from './request-head.ts';
import type { Passed } from './route.ts';

/** The request of one HTTP/2 stream. */
export class H2CurrentRequest extends CurrentRequest {
  readonly #info: ConnectionInfo;
  #parsed: H2Head | undefined;
  #head: RequestHead | undefined;

  constructor(engine: Engine, info: ConnectionInfo, events: AccessEvents) {
    super(engine, events);
    this.#info = info;
    this.restart();
  }

  /** Undefined: its head was refused. */
  get parsed(): H2Head | undefined {
    return this.#parsed;
  }

  /** Only of a request whose head was not refused. */
  get head(): RequestHead {
    return this.#head as RequestHead;
  }

  accept(parsed: H2Head): void {
    this.#parsed = parsed;
    const client = clientOfHead(this.#info, parsed.headers, this.engine.deps.trusted);
    this.#head = new PlainRequestHead({
      method: parsed.method,
      target: parsed.target,
      authority: parsed.authority,
      headers: ['host', parsed.authority, ...parsed.headers],
      secure: client.secure,
      remoteAddress: client.remoteAddress,
      upgrade: parsed.protocol,
      httpVersion: '2',
      id: nextRequestId(),
    });
  }

  prepareRoute(decision: Passed): void {
    const { headers, authority, protocol } = this.#parsed as H2Head;
    this.route = this.engine.routes.prepare(decision, {
      headers,
      connection: [],
      upgrade: protocol,
      by: forwardedBy(this.#info, headers, authority, this.head.secure),
    });
  }
}
