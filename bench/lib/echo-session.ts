import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { NAME, type SshWay } from '../systems/ssh-ways.ts';
import { tool } from './tools.ts';

/** For the session to begin, and for one echo. */
const PATIENCE_MS = 20_000;
const READY = 'ready-to-echo';

/** An `ssh -tt` whose far end gives back each byte as it comes: what typing feels like. */
export class EchoSession implements AsyncDisposable {
  readonly #ssh: ChildProcessWithoutNullStreams;
  #said = '';
  #heard: (() => void) | undefined;
  /** False: the server gave no pseudo-terminal, and bytes pass through pipes there. */
  hasTerminal = false;

  private constructor(way: SshWay) {
    // Raw: one byte in, one byte out, and no echo by the terminal itself.
    const command = `stty raw -echo 2>/dev/null; tty >/dev/null && echo terminal; echo ${READY}; exec cat`;
    this.#ssh = spawn(tool('ssh'), ['-tt', '-F', way.config, NAME, command], {
      env: { ...process.env, ...way.env },
      stdio: 'pipe',
    });
    this.#ssh.stdin.on('error', () => {});
    const keep = (bytes: Buffer): void => {
      this.#said = (this.#said + bytes.toString('latin1')).slice(-4096);
      this.#heard?.();
    };
    this.#ssh.stdout.on('data', keep);
    this.#ssh.stderr.on('data', keep);
    this.#ssh.on('error', (error) => keep(Buffer.from(error.message)));
    this.#ssh.on('close', () => this.#heard?.());
  }

  static async open(way: SshWay): Promise<EchoSession> {
    const session = new EchoSession(way);
    try {
      await session.#until(() => session.#said.includes(READY));
      session.hasTerminal = /^terminal/m.test(session.#said);
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
    return session;
  }

  /** Milliseconds from writing one byte to having it back. */
  async echo(): Promise<number> {
    this.#said = '';
    const start = performance.now();
    this.#ssh.stdin.write('k');
    await this.#until(() => this.#said.includes('k'));
    return performance.now() - start;
  }

  #until(done: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error?: Error): void => {
        clearTimeout(late);
        this.#heard = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
      const late = setTimeout(
        () => end(new Error(`no echo within ${PATIENCE_MS / 1000} s; ssh said:\n${this.#said}`)),
        PATIENCE_MS,
      );
      this.#heard = () => {
        if (done()) end();
        else if (this.#ssh.exitCode !== null)
          end(new Error(`the session to echo in ended (${this.#ssh.exitCode}): ${this.#said}`));
      };
      this.#heard();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ssh.exitCode !== null || this.#ssh.signalCode !== null) return;
    const gone = once(this.#ssh, 'close');
    this.#ssh.kill('SIGTERM');
    await gone;
  }
}
