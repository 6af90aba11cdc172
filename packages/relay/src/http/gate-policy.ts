/**
 * The border between the HTTP engine (this folder) and the rules about who may
 * reach what (`./policy/`). The engine parses, routes bytes and never decides;
 * the policy decides and never touches bytes.
 */
import type { TunnelError } from '@burrow/tunnel';
import type { Principal } from '../auth/principal.ts';
import type { PortPolicy, WorkspaceRoute } from '../control/directory.ts';
import type { RelayError } from '../errors.ts';

/** A request as it came, before anything was removed or added. */
export interface RequestHead {
  /** A token, case kept. Extended CONNECT (RFC 8441) is shown as `GET` with `upgrade` set. */
  readonly method: string;
  /** Path and query exactly as sent (latin1), or `*` for `OPTIONS *`. */
  readonly target: string;
  /** `Host` or `:authority` in lower case: `host` or `host:port`. Never empty, except HTTP/1.0 without Host. */
  readonly authority: string;
  /** Raw pairs `[name, value, name, value…]`: order, case and duplicates kept; values are latin1. */
  readonly headers: readonly string[];
  /** The browser's own leg is TLS: by this socket, or by the word of a trusted proxy. */
  readonly secure: boolean;
  /** The client's address: the peer's, or the one that a trusted proxy named. No port. */
  readonly remoteAddress: string;
  /** The protocol asked for by an upgrade, in lower case (`websocket`); undefined: no upgrade. */
  readonly upgrade: string | undefined;
  readonly httpVersion: '1.0' | '1.1' | '2';
  /** Short id of this request, for logs and error pages. */
  readonly id: string;
  /**
   * The value of a field, looked up without case. Several lines are joined:
   * `; ` for Cookie, `, ` for the rest. Undefined: no such field.
   */
  get(name: string): string | undefined;
}

/** A complete small answer of the gateway's own. */
export interface LocalResponse {
  readonly status: number;
  /**
   * Raw pairs `[name, value, …]`, without Content-Length, Date, Connection and
   * Transfer-Encoding: the engine adds those.
   */
  readonly headers: readonly string[];
  readonly body: string | Uint8Array;
}

export type Decision =
  /** Pass the request on to a port of a workspace. */
  | {
      readonly kind: 'app';
      readonly route: WorkspaceRoute;
      readonly port: number;
      readonly policy: PortPolicy;
      readonly principal: Principal;
      /**
       * Extra response header pairs `[name, value, …]` (CORS). The same names that
       * the app set are removed first, except that `Vary` is added to the app's own.
       */
      readonly responseHeaders?: readonly string[];
      /**
       * The engine may reuse this decision for later requests of the same
       * connection as long as `GatePolicy.version` is unchanged, and method class
       * (safe, unsafe, OPTIONS, upgrade), authority and the header fields `Host`,
       * `Cookie`, `Burrow-Authorization`, `Origin`, `Sec-Fetch-*` and
       * `Access-Control-*` are byte-identical. Leave it out when anything else was
       * looked at (the path, say, or a time limit that ends without a new version).
       * Requests whose path starts with `/.burrow` are never decided from memory.
       */
      readonly reusable?: boolean;
    }
  /** Pass it on to the control plane's own server in this process. */
  | { readonly kind: 'control' }
  /** Answer it here. */
  | { readonly kind: 'respond'; readonly response: LocalResponse };

export interface FailureContext {
  readonly route?: WorkspaceRoute;
  readonly port?: number;
}

export interface GatePolicy {
  /** Changes whenever an earlier `reusable` decision may no longer hold. */
  readonly version: number;
  /**
   * Called once per request, and again with the same head while it lasts whenever
   * `version` has changed; a synchronous answer costs no promise. Throwing or
   * rejecting leads to `failure` (RelayError, TunnelError) or a plain 500.
   */
  decide(head: RequestHead): Decision | Promise<Decision>;
  /**
   * Something failed after `decide`: no link to the agent within the wait
   * (`RelayError` `agent-disconnected`), a channel reset before the first
   * response byte (`TunnelError`), a malformed response (`RelayError` `upstream-failed`).
   * Must not throw.
   */
  failure(
    head: RequestHead,
    error: RelayError | TunnelError,
    context: FailureContext,
  ): LocalResponse;
  /** A request that could not be parsed (400, 408, 413, 414, 421, 431, 501, 505). `reason` is a sentence. Must not throw. */
  badRequest(status: number, reason: string): LocalResponse;
}
