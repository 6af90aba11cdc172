import { DISCONNECT, disconnect, fingerprintOf, isSigned } from '@burrow/ssh';
import type { Connection, PublicKeyAuthContext } from 'ssh2';
import { AGENT_SSH_LIMITS } from './limits.ts';

/**
 * Lets in whoever holds one of the keys that the channel's `Open` named, by
 * whatever user name; nobody else, and never without a key. The relay has
 * authorized the person; these keys tie this connection to them.
 */
export function admit(
  connection: Connection,
  authorizedKeys: readonly string[],
  onRefused: (fingerprint: string | undefined) => void,
): void {
  const admitted = new Set(authorizedKeys);
  let refused = 0;
  connection.on('authentication', (context) => {
    if (context.method === 'publickey' && isAdmitted(context, admitted)) return context.accept();
    if (context.method !== 'none') {
      refused += 1;
      onRefused(context.method === 'publickey' ? fingerprintOf(context.key.data) : undefined);
    }
    if (refused >= AGENT_SSH_LIMITS.tries) {
      return disconnect(
        connection,
        'Too many keys were tried, none of which is admitted here.',
        DISCONNECT.NO_MORE_AUTH_METHODS_AVAILABLE,
      );
    }
    return context.reject(['publickey']);
  });
}

function isAdmitted(context: PublicKeyAuthContext, admitted: ReadonlySet<string>): boolean {
  if (!admitted.has(fingerprintOf(context.key.data))) return false;
  // Without a signature the client only asks whether it would be worth signing.
  return context.signature === undefined || isSigned(context);
}
