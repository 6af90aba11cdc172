import ssh2, { type PublicKeyAuthContext } from 'ssh2';

/**
 * Whether the client holds the private half of the key that it offers: its
 * signature over the session is checked. False when it sent none.
 */
export function isSigned(context: PublicKeyAuthContext): boolean {
  const parsed = ssh2.utils.parseKey(`${context.key.algo} ${context.key.data.toString('base64')}`);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error) return false;
  if (context.blob === undefined || context.signature === undefined) return false;
  // SHA-1 signatures (the algorithm `ssh-rsa`) are no longer accepted, as in OpenSSH 8.8.
  if (key.type === 'ssh-rsa' && context.hashAlgo === undefined) return false;
  return key.verify(context.blob, context.signature, context.hashAlgo) === true;
}
