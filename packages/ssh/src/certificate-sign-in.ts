import ssh2, { type AuthHandlerMiddleware, type Client } from 'ssh2';
import type { HostKey } from './host-key.ts';
import { sshString } from './messages.ts';
import { signInByKey } from './raw-connection.ts';

/** Missing in the types, but documented. */
const GIVE_UP = false as unknown as 'none';

/**
 * An `authHandler` for `Client.connect` that signs in by an OpenSSH user
 * certificate (`ssh-ed25519-cert-v01@openssh.com AAAA…`, one line) of an
 * ed25519 key, and gives up when that is refused. ssh2 knows no certificates.
 */
export function certificateSignIn(
  connection: Client,
  username: string,
  key: HostKey,
  certificate: string,
): AuthHandlerMiddleware {
  const [algorithm = '', base64 = ''] = certificate.split(' ');
  const parsed = ssh2.utils.parseKey(key.privateKey);
  const signer = Array.isArray(parsed) ? parsed[0] : parsed;
  let step = 0;
  return (_left, _partial, next) => {
    step += 1;
    // ssh2 takes a failure for that of its own last try: so it has to make one.
    if (step === 1) return next('none');
    if (step > 2 || signer === undefined || signer instanceof Error) return next(GIVE_UP);
    const blob = Buffer.from(base64, 'base64');
    signInByKey(connection, username, { algorithm, blob }, (data) =>
      // The certificate's algorithm, the key's own signature (PROTOCOL.certkeys).
      Buffer.concat([sshString(signer.type), sshString(signer.sign(data))]),
    );
  };
}
