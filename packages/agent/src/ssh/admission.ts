import { DISCONNECT, disconnect, fingerprintOf } from '@burrow/ssh';
import ssh2, { type AuthContext, type Connection, type PublicKeyAuthContext } from 'ssh2';
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

function isAdmitted(
  context: Extract<AuthContext, { method: 'publickey' }>,
  admitted: ReadonlySet<string>,
): boolean {
  if (!admitted.has(fingerprintOf(context.key.data))) return false;
  // Without a signature the client only asks whether it would be worth signing.
  return context.signature === undefined || isSigned(context);
}

function isSigned(context: PublicKeyAuthContext): boolean {
  const parsed = ssh2.utils.parseKey(`${context.key.algo} ${context.key.data.toString('base64')}`);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error) return false;
  if (context.blob === undefined || context.signature === undefined) return false;
  // SHA-1 signatures (the algorithm `ssh-rsa`) are no longer accepted, as in OpenSSH 8.8.
  if (key.type === 'ssh-rsa' && context.hashAlgo === undefined) return false;
  return key.verify(context.blob, context.signature, context.hashAlgo) === true;
}
