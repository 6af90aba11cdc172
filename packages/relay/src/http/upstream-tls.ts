import { connect } from 'node:tls';
import type { Channel } from '@burrow/tunnel';
import { channelToDuplex } from '@burrow/tunnel/node';
import { RelayError } from '../errors.ts';
import { duplexToByteStream, type ByteStream } from './byte-stream.ts';

/**
 * TLS to an app behind a channel. The certificate is not checked: this leg ends
 * on the workload's own loopback, where the agent has dialled 127.0.0.1, and a
 * development server's certificate there is self-signed. The tunnel itself is
 * authenticated and encrypted by its own link.
 */
export function connectTls(channel: Channel, timeoutMs: number): ByteStream {
  const socket = connect({
    socket: channelToDuplex(channel),
    rejectUnauthorized: false,
    servername: 'localhost',
    ALPNProtocols: ['http/1.1'],
  });
  const timer = setTimeout(() => {
    socket.destroy(
      new RelayError('upstream-timeout', 'The app did not finish its TLS handshake.', {
        blame: 'app',
      }),
    );
  }, timeoutMs);
  const stop = (): void => clearTimeout(timer);
  socket.once('secureConnect', stop).once('close', stop);
  return duplexToByteStream(socket, channel);
}
