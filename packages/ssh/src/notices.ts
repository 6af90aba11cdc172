import { MESSAGE, sshString, uint32 } from './messages.ts';
import { asciiOnly } from './ascii.ts';
import { sendMessage, streamOf, type SshConnection } from './raw-connection.ts';

/** Reasons of RFC 4253 11.1 that are used. */
export const DISCONNECT = {
  PROTOCOL_ERROR: 2,
  SERVICE_NOT_AVAILABLE: 7,
  BY_APPLICATION: 11,
  TOO_MANY_CONNECTIONS: 12,
  NO_MORE_AUTH_METHODS_AVAILABLE: 14,
} as const;

/** Shows sentences in the person's terminal (RFC 4252 5.4). Only while signing in. */
export function sendBanner(connection: SshConnection, text: string): void {
  sendMessage(
    connection,
    Buffer.concat([
      Buffer.from([MESSAGE.USERAUTH_BANNER]),
      sshString(`${asciiOnly(text).replaceAll(/\r?\n/g, '\r\n')}\r\n`),
      sshString(''),
    ]),
  );
}

/**
 * Ends the connection and says why: OpenSSH's client prints the sentence.
 * Idempotent: a connection that is already ending is left alone.
 */
export function disconnect(
  connection: SshConnection,
  sentence: string,
  reason: number = DISCONNECT.BY_APPLICATION,
): void {
  const stream = streamOf(connection);
  if (stream === undefined || stream.destroyed || stream.writableEnded) return;
  sendMessage(
    connection,
    Buffer.concat([
      Buffer.from([MESSAGE.DISCONNECT]),
      uint32(reason),
      sshString(asciiOnly(sentence)),
      sshString(''),
    ]),
  );
  stream.end();
}
