import { TunnelError } from '../errors.ts';

/** A frame that its channel's state does not allow: the peer is broken, and the link ends. */
export function misplaced(what: string): TunnelError {
  return new TunnelError('protocol-error', `The peer sent ${what}.`);
}
