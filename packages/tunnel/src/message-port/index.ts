import type { MessagePort } from 'node:worker_threads';

import { greetAsAcceptor, greetAsDialler } from '../link/handshake.ts';
import type { AcceptedLink, AcceptOptions, DialledLink, DialOptions } from '../types.ts';
import { PortTransport } from './port-transport.ts';

/** Opens a link to the thread at the other end of `port`; no credentials: whoever holds the port may use it. */
export function dialPort(
  port: MessagePort,
  options: Pick<DialOptions, 'hello' | 'handler' | 'signal'>,
): Promise<DialledLink> {
  return greetAsDialler(new PortTransport(port), options);
}

/** The other end of `dialPort`. */
export function acceptPort(
  port: MessagePort,
  options: AcceptOptions,
): Promise<AcceptedLink | undefined> {
  return greetAsAcceptor(new PortTransport(port), options);
}
