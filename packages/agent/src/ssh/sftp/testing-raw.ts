import { spawn } from 'node:child_process';
import { Duplex, duplexPair } from 'node:stream';
import type { TestContext } from 'node:test';
import { PacketCutter } from './packets.ts';
import { Fields, packet, REQUEST, type Field } from './protocol.ts';
import { serveSftp } from './serve.ts';

export const OPENSSH_SERVER = '/usr/lib/openssh/sftp-server';

export interface RawReply {
  readonly type: number;
  readonly fields: Fields;
}

/** Speaks SFTP packet by packet. */
export class RawClient {
  readonly stream: Duplex;
  readonly #waiting = new Map<number, (reply: RawReply) => void>();
  #next = 1;

  constructor(stream: Duplex) {
    this.stream = stream;
    const cutter = new PacketCutter();
    stream.on('data', (chunk: Buffer) => {
      for (const { head } of cutter.cut(chunk)) {
        const fields = new Fields(head);
        const id = fields.uint32();
        this.#waiting.get(id)?.({ type: head[0] ?? 0, fields });
        this.#waiting.delete(id);
      }
    });
    stream.on('error', () => {});
  }

  /** The extensions that the server offers. */
  async begin(): Promise<Map<string, string>> {
    const answer = new Promise<RawReply>((resolve) => this.#waiting.set(3, resolve));
    this.stream.write(packet(REQUEST.INIT, 3));
    const { fields } = await answer;
    const offers = new Map<string, string>();
    while (fields.left > 0) offers.set(fields.string().toString(), fields.string().toString());
    this.#next = 10;
    return offers;
  }

  request(type: number, ...fields: readonly Field[]): Promise<RawReply> {
    const id = this.#next++;
    const reply = new Promise<RawReply>((resolve) => this.#waiting.set(id, resolve));
    this.stream.write(packet(type, id, ...fields));
    return reply;
  }
}

/** Our server on a pair of streams. */
export function ours(t: TestContext, home: string): RawClient {
  return oursOn(t, home).client;
}

/** The same, with the server's end of the pair. */
export function oursOn(t: TestContext, home: string): { client: RawClient; served: Duplex } {
  const [near, far] = duplexPair();
  const gone = new AbortController();
  serveSftp(far, { home, signal: gone.signal });
  t.after(() => gone.abort());
  return { client: new RawClient(near), served: far };
}

/** OpenSSH's server. */
export function theirs(t: TestContext, home: string): RawClient {
  const child = spawn(OPENSSH_SERVER, ['-d', home], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, LC_ALL: 'C' },
  });
  t.after(() => child.kill('SIGKILL'));
  return new RawClient(Duplex.from({ readable: child.stdout, writable: child.stdin }));
}
