import { TunnelError } from '@burrow/tunnel';
import type { RefusalReason } from './contracts.ts';

/** Another relay is not let in. `error` is what it is told, `reason` what is counted. */
export class PeerRefused extends Error {
  override readonly name = 'PeerRefused';
  readonly reason: RefusalReason;
  readonly error: TunnelError;

  constructor(reason: RefusalReason, code: TunnelError['code'], sentence: string) {
    super(sentence);
    this.reason = reason;
    this.error = new TunnelError(code, sentence);
  }
}

export function relayStops(id: string): TunnelError {
  return new TunnelError('draining', `The relay “${id}” shuts down; its agents go to others.`);
}
