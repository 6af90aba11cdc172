import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { startForward } from '../../harness/port-forward.ts';
import { drainedOrClosed, PACE_MS, PIECE_BYTES, piece } from './app.ts';

/** How a stream ended. */
export interface Outcome {
  /** All of it came, in order and unchanged. */
  readonly whole: boolean;
  /** The longest time in which nothing came, in ms. */
  readonly stallMs: number;
  /** Units (events, messages, pieces, lines) that came in order. */
  readonly units: number;
  /** What its user is told when it was not whole. */
  readonly said: string;
  /** Every pause that was long enough to be one: when it ended (performance.now), and how long it was, in ms. */
  readonly pauses: readonly { readonly at: number; readonly ms: number }[];
}

/** What is shorter is the pace, and a busy machine. */
const PAUSE_MS = 40;

export interface Stream {
  readonly kind: string;
  /** Resolves once the first unit has come. */
  readonly begun: Promise<void>;
  readonly outcome: Promise<Outcome>;
}

export interface Entrance {
  /** Of the relay where the connection enters. */
  readonly port: number;
  /** `<port>-<workspace>.localhost`. */
  readonly host: string;
  readonly token: string;
}

/** Counts what comes, and how long nothing does. */
class Watch {
  readonly begun = Promise.withResolvers<void>();
  units = 0;
  wrong = '';
  #last = performance.now();
  #stall = 0;
  readonly #pauses: { at: number; ms: number }[] = [];

  came(right: boolean, what: string): void {
    const now = performance.now();
    const ms = now - this.#last;
    if (this.units > 0) this.#stall = Math.max(this.#stall, ms);
    if (this.units > 0 && ms >= PAUSE_MS) this.#pauses.push({ at: now, ms });
    this.#last = now;
    if (right) this.units += 1;
    else this.wrong ||= what;
    this.begun.resolve();
  }

  outcome(count: number, said: string): Outcome {
    this.begun.resolve();
    const whole = this.units === count && this.wrong === '';
    return {
      whole,
      stallMs: Math.round(this.#stall),
      units: this.units,
      said: whole ? '' : this.wrong || said,
      pauses: this.#pauses,
    };
  }
}

function ask({ port, host, token }: Entrance, path: string, method = 'GET') {
  return request({
    host: '127.0.0.1',
    port,
    path,
    method,
    agent: false,
    headers: { host, 'burrow-authorization': `Bearer ${token}` },
  });
}

export function download(entrance: Entrance, count: number, bytes = PIECE_BYTES): Stream {
  const watch = new Watch();
  const run = async (): Promise<Outcome> => {
    const sent = ask(entrance, `/download?count=${count}&bytes=${bytes}`);
    sent.end();
    try {
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      let rest = Buffer.alloc(0);
      for await (const chunk of response) {
        rest = Buffer.concat([rest, chunk as Buffer]);
        for (;;) {
          const next = piece(watch.units, bytes);
          if (rest.length < next.length) break;
          const right = rest.subarray(0, next.length).equals(next);
          watch.came(right, `piece ${watch.units} is not what was sent`);
          if (!right) break;
          rest = rest.subarray(next.length);
        }
      }
      return watch.outcome(count, `the answer ended after ${watch.units} pieces`);
    } catch (error) {
      return watch.outcome(count, (error as Error).message);
    }
  };
  return { kind: 'HTTP download', begun: watch.begun.promise, outcome: run() };
}

export function upload(entrance: Entrance, count: number, bytes = PIECE_BYTES): Stream {
  const watch = new Watch();
  const run = async (): Promise<Outcome> => {
    const hash = createHash('sha256');
    const sent = ask(entrance, '/upload', 'POST');
    const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
    answered.catch(() => {});
    let failed: Error | undefined;
    sent.once('error', (error) => (failed = error));
    try {
      for (let i = 0; i < count && failed === undefined; i++) {
        const next = piece(i, bytes);
        hash.update(next);
        const before = performance.now();
        if (!sent.write(next)) await drainedOrClosed(sent);
        watch.came(true, '');
        await sleep(Math.max(0, PACE_MS - (performance.now() - before)));
      }
      sent.end();
      const [response] = await answered;
      let text = '';
      for await (const chunk of response) text += String(chunk);
      const sha256 = hash.digest('hex');
      const right = response.statusCode === 200 && text.includes(`"sha256":"${sha256}"`);
      if (!right) watch.wrong = `HTTP ${response.statusCode}: ${text.slice(0, 200)}`;
      return watch.outcome(count, '');
    } catch (error) {
      watch.wrong = (failed ?? (error as Error)).message;
      return watch.outcome(count, '');
    }
  };
  return { kind: 'HTTP upload', begun: watch.begun.promise, outcome: run() };
}

export function events(entrance: Entrance, count: number): Stream {
  const watch = new Watch();
  const run = async (): Promise<Outcome> => {
    const sent = ask(entrance, `/events?count=${count}`);
    sent.end();
    try {
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      for await (const line of createInterface({ input: response })) {
        if (line.startsWith('data: ')) watch.came(line === `data: ${watch.units}`, `event ${line}`);
      }
      return watch.outcome(count, `the stream ended after ${watch.units} events`);
    } catch (error) {
      return watch.outcome(count, (error as Error).message);
    }
  };
  return { kind: 'server-sent events', begun: watch.begun.promise, outcome: run() };
}

export function websocket({ port, host, token }: Entrance, count: number): Stream {
  const watch = new Watch();
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, {
    headers: { host, 'burrow-authorization': `Bearer ${token}` },
  });
  const run = async (): Promise<Outcome> => {
    const ended = Promise.withResolvers<string>();
    socket.on('error', (error) => ended.resolve(error.message));
    socket.on('close', (code, reason) => ended.resolve(`closed with ${code} ${reason.toString()}`));
    socket.on('message', (data) => {
      watch.came(
        String(data as Buffer) === String(watch.units),
        `message ${String(data as Buffer)}`,
      );
      if (watch.units === count) socket.close();
    });
    await once(socket, 'open').catch(() => {});
    for (let i = 0; i < count && socket.readyState === WebSocket.OPEN; i++) {
      socket.send(String(i));
      await sleep(PACE_MS);
    }
    return watch.outcome(count, await ended.promise);
  };
  return { kind: 'WebSocket', begun: watch.begun.promise, outcome: run() };
}

/** Lines that a shell's `cat` sends back: both directions, one after the other. */
export function sshEcho(
  kind: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  count: number,
): Stream {
  const watch = new Watch();
  const child = spawn('ssh', [...args, 'cat'], { env: { ...process.env, ...env }, stdio: 'pipe' });
  const run = async (): Promise<Outcome> => {
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.stdin.on('error', () => {});
    const exited = once(child, 'close');
    createInterface({ input: child.stdout }).on('line', (line) => {
      watch.came(line === `line ${watch.units}`, `got “${line}” as line ${watch.units}`);
    });
    for (let i = 0; i < count && child.exitCode === null; i++) {
      child.stdin.write(`line ${i}\n`);
      if (i === 0) await Promise.race([watch.begun.promise, exited]);
      await sleep(PACE_MS);
    }
    child.stdin.end();
    const [code] = (await exited) as [number | null];
    return watch.outcome(count, said.trim() || `ssh ended with ${code}`);
  };
  return { kind, begun: watch.begun.promise, outcome: run() };
}

const ECHO_BYTES = 2048;

/** Pieces that an app of plain TCP sends back over `burrow port-forward`; ours ends first, by half. */
export function forwarded(
  workspace: string,
  port: number,
  env: Readonly<Record<string, string>>,
  count: number,
): Stream {
  const watch = new Watch();
  const run = async (): Promise<Outcome> => {
    try {
      await using forwarding = await startForward(env, [workspace, `:${port}`]);
      const socket = connect({
        host: '127.0.0.1',
        port: forwarding.ports[0]!,
        allowHalfOpen: true,
      });
      let failed: Error | undefined;
      socket.on('error', (error) => (failed = error));
      const ended = new Promise<void>((resolve) => {
        socket.once('end', resolve);
        socket.once('close', () => resolve());
      });
      let rest = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        for (; rest.length >= ECHO_BYTES; rest = rest.subarray(ECHO_BYTES)) {
          const right = rest.subarray(0, ECHO_BYTES).equals(piece(watch.units, ECHO_BYTES));
          watch.came(right, `piece ${watch.units} is not what was sent`);
        }
      });
      for (let i = 0; i < count && failed === undefined; i++) {
        if (!socket.write(piece(i, ECHO_BYTES))) await drainedOrClosed(socket);
        await sleep(PACE_MS);
      }
      socket.end();
      await ended;
      socket.destroy();
      watch.wrong ||= failed?.message ?? forwarding.stderr.trim();
      return watch.outcome(count, `the connection ended after ${watch.units} pieces`);
    } catch (error) {
      return watch.outcome(count, (error as Error).message);
    }
  };
  return { kind: 'burrow port-forward', begun: watch.begun.promise, outcome: run() };
}
