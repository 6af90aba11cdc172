import type { WebSocket } from 'ws';

import { greetAsAcceptor } from '../link/handshake.ts';
import type { AcceptedLink, AcceptOptions } from '../types.ts';
import { WsTransport } from './ws-transport.ts';

export { dialWebSocket, MAX_MESSAGE_BYTES } from './dial.ts';
export { SUBPROTOCOL } from './ws-transport.ts';

/** Turns an authenticated WebSocket (no compression, maxPayload MAX_MESSAGE_BYTES) into a link. */
export function acceptWebSocket(
  socket: WebSocket,
  options: AcceptOptions,
): Promise<AcceptedLink | undefined> {
  return greetAsAcceptor(new WsTransport(socket), options);
}
