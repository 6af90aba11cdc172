/**
 * A client's connection behind its upgrade, where bytes go both ways as they come. A WebSocket is
 * followed, so that it can be told why it ends; of any other protocol nothing is known.
 */
import { GOING_AWAY, POLICY_VIOLATION, WebSocketPassage, type PassageEnds } from './ws-passage.ts';
import { ACCESS_GONE, RESTARTING } from './ws-reasons.ts';

export class Upgraded {
  readonly #webSocket: WebSocketPassage | undefined;

  /** `protocol`: as the client asked for it, in lower case. */
  constructor(protocol: string | undefined, ends: PassageEnds) {
    this.#webSocket = protocol === 'websocket' ? new WebSocketPassage(ends) : undefined;
  }

  /** The client knows why it ends: what remains is its answer. */
  get clientTold(): boolean {
    return this.#webSocket?.clientTold === true;
  }

  /** What of these bytes of the app's is for the client; undefined: nothing. */
  fromApp(chunk: Buffer): Buffer | undefined {
    return this.#webSocket === undefined ? chunk : this.#webSocket.fromApp(chunk);
  }

  /** What of these bytes of the client's is for the app; undefined: nothing. */
  fromClient(chunk: Buffer): Buffer | undefined {
    return this.#webSocket === undefined ? chunk : this.#webSocket.fromClient(chunk);
  }

  /** The relay stops. True: both sides are being told, and end by themselves. */
  leave(): boolean {
    return this.#webSocket?.leave(GOING_AWAY, RESTARTING) === true;
  }

  /** Access was taken away. True: the client was told, and ends by itself; no further byte passes. */
  cut(): boolean {
    return this.#webSocket?.cut(POLICY_VIOLATION, ACCESS_GONE) === true;
  }
}
