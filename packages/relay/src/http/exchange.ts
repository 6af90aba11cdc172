/**
 * One request and its response, seen from both sides. A front (HTTP/1 socket,
 * HTTP/2 stream) is the `ResponseSink`; an upstream connection is the
 * `Exchange`. Both live as long as their connection and are used again for the
 * next request, so a small request allocates neither.
 *
 * Calls are synchronous. After `onComplete`, `onUpgraded` or `onFailed`
 * (the sink's last calls) or `cancel`, neither side calls the other again.
 */
import type { ResponseHead } from './h1-response.ts';

export type ResponseBody = 'none' | 'length' | 'chunked' | 'close';

export interface ResponseSink {
  /** True: chunked bodies come with their framing, up to and with the last chunk's line. */
  readonly rawChunks: boolean;
  /** 100 to 199, except 101. */
  onInformational(head: ResponseHead): void;
  onHead(head: ResponseHead, body: ResponseBody): void;
  /** `raw`: the bytes are chunk framing and data as they came. */
  onBody(chunk: Buffer, raw: boolean): void;
  /** The response is complete. The request may still be on its way: go on with writeBody. */
  onComplete(trailers: readonly string[]): void;
  /** 101: from here on bytes go both ways through `onBody` and `writeBody`. */
  onUpgraded(head: ResponseHead): void;
  /** Upgraded only: the app half-closed. */
  onUpgradedEnd(): void;
  /** Ends a batch of calls: write what was collected. False: take no more until `Exchange.resume`. */
  flush(): boolean;
  onRequestWritable(): void;
  /** The upstream takes no more of the request, its response being complete. */
  onRequestRefused(): void;
  /**
   * `untouched`: no byte of a response had come. `stale`: and the connection had
   * served another request before. `unsent`: no byte of the request has reached the app, any
   * method may be sent again. After the end of an upgraded connection
   * `error` may be undefined.
   */
  onFailed(error: Error | undefined, untouched: boolean, stale: boolean, unsent: boolean): void;
}

export interface Exchange {
  /** Id of the channel that carries it, for logs; undefined: the control server. */
  readonly channel: string | undefined;
  /** True: takes chunked request bodies with their framing. */
  readonly rawChunks: boolean;
  /** False: stop until `onRequestWritable`. */
  writeBody(chunk: Buffer, raw: boolean): boolean;
  /** `raw`: the last chunk's line has been written. */
  endBody(trailers: readonly string[], raw: boolean): void;
  /** Upgraded only. */
  endUpgraded(): void;
  /** The sink can take more. */
  resume(): void;
  /** The client has gone, or what it sends is malformed. */
  cancel(reason: string): void;
}

/** The request as an upstream needs it, beside the head that was serialised for it. */
export interface RequestPlan {
  readonly method: string;
  /** -1: chunked; 0: none. */
  readonly length: number;
  readonly upgrade: boolean;
}

/** An agent that is about to leave refused the channel, before it connected to anything. */
export function refusedByDrain(error: Error | undefined, opened: boolean | undefined): boolean {
  return opened === false && (error as { code?: unknown } | undefined)?.code === 'draining';
}

export const NO_TRAILERS: readonly string[] = Object.freeze([]);
