import { certificateFault } from '@burrow/outbound';
import type { Dial, DialledLink, DialOptions } from '@burrow/tunnel';
import { TunnelError } from '@burrow/tunnel';
import type { TransportChoice } from '../config/settings.ts';

export type TransportName = 'grpc' | 'websocket';

/** Loads a transport; only gRPC is loaded when all is well. */
export type LoadDial = (name: TransportName) => Promise<Dial>;

export const loadTunnelDial: LoadDial = async (name) =>
  name === 'grpc'
    ? (await import('@burrow/tunnel/grpc')).dialGrpc
    : (await import('@burrow/tunnel/websocket')).dialWebSocket;

export interface TransportDialled extends DialledLink {
  readonly transport: TransportName;
}

/** Once gRPC has worked, so many failures in a row before a middlebox is suspected again. */
const FAILURES_AFTER_SUCCESS = 3;
/** A WebSocket that works is kept, but gRPC is tried again after so long (ms). */
const RETRY_GRPC_AFTER_MS = 30 * 60_000;

/**
 * Dials with gRPC, falls back to WebSocket when something between here and
 * the relay seems to break HTTP/2, and remembers what worked.
 */
export class TransportChooser {
  readonly #choice: TransportChoice;
  readonly #load: LoadDial;
  readonly #now: () => number;
  #grpcWorked = false;
  #grpcFailures = 0;
  #websocketSince: number | undefined;

  constructor(choice: TransportChoice, load: LoadDial, now: () => number) {
    this.#choice = choice;
    this.#load = load;
    this.#now = now;
  }

  async dial(
    options: DialOptions & { readonly connect: NonNullable<DialOptions['connect']> },
    /** Called before the fallback, for the log. */
    onFallback: (reason: TunnelError) => void,
    /** A fresh bound for the second try. */
    signalForFallback: () => AbortSignal,
  ): Promise<TransportDialled> {
    if (this.#preferred() === 'websocket') return this.#try('websocket', options);
    let reached = false;
    const connect = async (signal: AbortSignal) => {
      const socket = await options.connect(signal);
      reached = true;
      return socket;
    };
    try {
      return await this.#try('grpc', { ...options, connect });
    } catch (error) {
      if (this.#choice !== 'auto' || !reached || !looksLikeMiddlebox(error)) throw error;
      this.#grpcFailures += 1;
      if (this.#grpcWorked && this.#grpcFailures < FAILURES_AFTER_SUCCESS) throw error;
      onFallback(error);
      return this.#try('websocket', { ...options, signal: signalForFallback() });
    }
  }

  #preferred(): TransportName {
    if (this.#choice !== 'auto') return this.#choice;
    const since = this.#websocketSince;
    if (since === undefined || this.#now() - since > RETRY_GRPC_AFTER_MS) return 'grpc';
    return 'websocket';
  }

  async #try(transport: TransportName, options: DialOptions): Promise<TransportDialled> {
    const dial = await this.#load(transport);
    try {
      const dialled = await dial(options);
      if (transport === 'grpc') {
        this.#grpcWorked = true;
        this.#grpcFailures = 0;
        this.#websocketSince = undefined;
      } else if (this.#websocketSince === undefined) {
        this.#websocketSince = this.#now();
      }
      return { ...dialled, transport };
    } catch (error) {
      // What worked once may not any more (another network): begin with gRPC again.
      if (transport === 'websocket') this.#websocketSince = undefined;
      throw toTunnelError(error);
    }
  }
}

function toTunnelError(error: unknown): TunnelError {
  if (error instanceof TunnelError) return error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return name === 'TimeoutError'
    ? new TunnelError('timed-out', 'The relay did not answer in time', { cause: error })
    : new TunnelError('unavailable', message, { cause: error });
}

/**
 * The connection was made, yet no relay spoke: an HTTP/1 answer, a protocol
 * error, no h2 by ALPN, silence. What a relay said itself, and certificate
 * faults, would be the same over WebSocket.
 */
function looksLikeMiddlebox(error: unknown): error is TunnelError {
  if (!(error instanceof TunnelError) || error.code === 'cancelled') return false;
  // An HTTP answer that is no gRPC counts as "unavailable" said by the other side.
  if (error.remote) return error.code === 'protocol-error' || error.code === 'unavailable';
  return certificateFault(error) === undefined;
}
