/**
 * A client and an app behind an upgrade, where bytes go both ways as they come. A WebSocket is
 * followed, so that both can be told why it ends; of any other protocol nothing is known.
 */
import type { Exchange } from './exchange.ts';
import { GOING_AWAY, POLICY_VIOLATION, WebSocketPassage, type PassageEnds } from './ws-passage.ts';
import { ACCESS_GONE, RESTARTING } from './ws-reasons.ts';

/** The client's side. */
export interface UpgradedClient {
  /** Writes a frame of our own, and reads on: it will be answered. */
  tell(frame: Buffer): void;
  end(): void;
}

export class Upgraded implements PassageEnds {
  readonly #webSocket: WebSocketPassage | undefined;
  readonly #client: UpgradedClient;
  #app: Exchange | undefined;

  /** `protocol`: as the client asked for it, in lower case. */
  constructor(protocol: string | undefined, app: Exchange, client: UpgradedClient) {
    this.#webSocket = protocol === 'websocket' ? new WebSocketPassage(this) : undefined;
    this.#app = app;
    this.#client = client;
  }

  /** The app is still there. */
  get open(): boolean {
    return this.#app !== undefined;
  }

  /** The client knows why it ends: what remains is its answer. */
  get clientTold(): boolean {
    return this.#webSocket?.clientTold === true;
  }

  /** What of these bytes of the app's is for the client; undefined: nothing. */
  fromApp(chunk: Buffer): Buffer | undefined {
    return this.#webSocket === undefined ? chunk : this.#webSocket.fromApp(chunk);
  }

  /** False: stop until the app takes more. */
  fromClient(chunk: Buffer): boolean {
    const passed = this.#webSocket === undefined ? chunk : this.#webSocket.fromClient(chunk);
    return passed === undefined || this.#app?.writeBody(passed, false) !== false;
  }

  /** The client has ended its half. */
  endFromClient(): void {
    this.#app?.endUpgraded();
  }

  /** The client can take more. */
  resume(): void {
    this.#app?.resume();
  }

  /** The relay stops. True: both sides are being told, and end by themselves. */
  leave(): boolean {
    return this.#webSocket?.leave(GOING_AWAY, RESTARTING) === true;
  }

  /** Access was taken away: no further byte passes. True: the client was told, and ends by itself. */
  cut(): boolean {
    this.abandon('Access was taken away.');
    return this.#webSocket?.cut(POLICY_VIOLATION, ACCESS_GONE) === true;
  }

  abandon(reason: string): void {
    const app = this.#app;
    this.#app = undefined;
    app?.cancel(reason);
  }

  /** The app has closed it. True: in good order, so the client's side ends in good order too. */
  appGone(error: Error | undefined): boolean {
    this.#app = undefined;
    return error === undefined || this.clientTold;
  }

  // Of the WebSocket

  toClient(frame: Buffer): void {
    this.#client.tell(frame);
  }

  toApp(frame: Buffer): void {
    this.#app?.writeBody(frame, false);
  }

  onDone(): void {
    this.#app?.endUpgraded();
    this.#client.end();
  }
}
