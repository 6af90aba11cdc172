/** Bounds of the HTTP engine. Sizes in bytes, times in ms. */
export interface HttpLimits {
  /** Request or response head, start line included. 64 KiB: the largest cookies seen, four times over. */
  readonly headBytes: number;
  /** Field lines of one head. */
  readonly fields: number;
  /** One chunk's extensions; trailers have `trailerBytes`. */
  readonly chunkExtensionBytes: number;
  readonly trailerBytes: number;
  /** First byte of a head to its end. */
  readonly headTimeoutMs: number;
  /** Nothing asked on a connection. Over the 60 s of common load balancers. */
  readonly idleTimeoutMs: number;
  /**
   * A request whose body stops in the middle, by the client, before its response has
   * begun (or when that is complete already). Once the response flows, or after an
   * upgrade, silence is allowed: streams may go both ways for hours.
   */
  readonly bodyIdleMs: number;
  /**
   * A client that takes nothing at all of the bytes that wait for it. Paused videos and
   * sleeping laptops are shorter, or ask again.
   */
  readonly readerIdleMs: number;
  /** After a client half-closed with its request complete: how long its response may still take. */
  readonly halfCloseGraceMs: number;
  /** After our last byte: how long a client may go on sending before the socket is destroyed. */
  readonly lingerMs: number;
  /** A client may take so long to answer our Close frame of a WebSocket; it takes a round trip. */
  readonly webSocketCloseMs: number;
  /** Bytes of later requests (or of a body whose upstream is not there yet) kept for one connection. */
  readonly heldBytes: number;
  /** Waiting for an agent's link. */
  readonly waitForAgentMs: number;
  /** TLS or HTTP/2 handshake with an upstream, over an open channel. */
  readonly upstreamHandshakeMs: number;
  /** Idle upstream channels: for one key, and in all. */
  readonly idlePerKey: number;
  readonly idleTotal: number;
  /** Under the 5 s after which node:http, the shortest of common servers, closes an idle connection. */
  readonly upstreamIdleMs: number;
  /** A request that may not be repeated uses no channel that was idle for longer. */
  readonly unsafeIdleMs: number;
  /** Concurrent streams of one h2c session before another is opened. */
  readonly streamsPerSession: number;
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = Object.freeze({
  headBytes: 64 * 1024,
  fields: 200,
  chunkExtensionBytes: 256,
  trailerBytes: 16 * 1024,
  headTimeoutMs: 30_000,
  idleTimeoutMs: 65_000,
  bodyIdleMs: 5 * 60_000,
  readerIdleMs: 10 * 60_000,
  halfCloseGraceMs: 2_000,
  lingerMs: 2_000,
  webSocketCloseMs: 1_000,
  heldBytes: 64 * 1024,
  waitForAgentMs: 5_000,
  upstreamHandshakeMs: 10_000,
  idlePerKey: 256,
  idleTotal: 4_096,
  upstreamIdleMs: 4_000,
  unsafeIdleMs: 1_000,
  streamsPerSession: 100,
});
