/**
 * A WebSocket client that costs nearly nothing: one prepared masked frame, and
 * a count of the bytes that come back. So that what is measured is the way.
 */
import { connect, type Socket } from 'node:net';
import type { Endpoint } from '../scenario.ts';

/** Bytes of payload in each message. */
export const ECHO_PAYLOAD = 32;
const FRAME = Buffer.concat([
  Buffer.from([0x82, 0x80 | ECHO_PAYLOAD, 1, 2, 3, 4]),
  Buffer.alloc(ECHO_PAYLOAD, 'x'),
]);
const ANSWER_BYTES = 2 + ECHO_PAYLOAD;

export class EchoClient {
  readonly #socket: Socket;
  #expected = 0;
  #answered: (() => void) | undefined;
  #failed: ((error: Error) => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#expected -= bytes.length;
      if (this.#expected <= 0) this.#answered?.();
    });
    const fail = () => this.#failed?.(new Error('the WebSocket was closed in the middle'));
    socket.on('close', fail);
  }

  /** Resolves after the 101; rejects with the status line of any other answer. */
  static open(endpoint: Endpoint): Promise<EchoClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: endpoint.port, host: '127.0.0.1', noDelay: true });
      const headers = Object.entries({
        ...endpoint.headers,
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      });
      socket.write(
        `GET /echo HTTP/1.1\r\n${headers.map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`,
      );
      let head = '';
      const read = (bytes: Buffer) => {
        head += bytes.toString('latin1');
        if (!head.includes('\r\n\r\n')) return;
        socket.off('data', read);
        if (head.startsWith('HTTP/1.1 101')) resolve(new EchoClient(socket));
        else {
          socket.destroy();
          reject(new Error(`WebSocket refused: ${head.slice(0, head.indexOf('\r\n'))}`));
        }
      };
      socket.on('data', read);
      socket.on('error', reject);
    });
  }

  /** One message there and back. */
  echo(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#expected = ANSWER_BYTES;
      this.#answered = resolve;
      this.#failed = reject;
      this.#socket.write(FRAME);
    });
  }

  close(): void {
    this.#failed = undefined;
    this.#socket.destroy();
  }
}
