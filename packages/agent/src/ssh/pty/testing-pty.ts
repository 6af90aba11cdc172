import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { PtyLadder } from './ladder.ts';
import type { Pty, PtyOptions } from './types.ts';

/** What a client's OpenSSH sends for an ordinary terminal. */
export const USUAL_MODES = { VINTR: 3, VQUIT: 28, VERASE: 127, ECHO: 1, ICANON: 1, ISIG: 1 };

export interface TestPty extends Pty {
  /** All that was shown so far. */
  shown(): string;
  /** Resolves when `pattern` was shown after what the previous call found; fails after 10 s. */
  see(pattern: RegExp): Promise<RegExpExecArray>;
  type(text: string): void;
  /** Resolves when the output has ended. */
  readonly ended: Promise<void>;
}

const ladders = new Map<string, PtyLadder>();

/** A terminal made by one rung, hung up at the end of the test. */
export async function terminal(
  t: TestContext,
  kind: string,
  command: readonly [string, ...string[]],
  options: Partial<PtyOptions> = {},
): Promise<TestPty> {
  const hangUp = new AbortController();
  t.after(() => hangUp.abort());
  const [file, ...args] = command;
  const ladder = ladders.get(kind) ?? new PtyLadder(kind);
  ladders.set(kind, ladder);
  const pty = await ladder.start({
    command: { file, args },
    env: { PATH: process.env['PATH'], HOME: '/', LC_ALL: 'C.UTF-8', PS1: '$ ' },
    cwd: '/',
    term: 'xterm-256color',
    cols: 100,
    rows: 40,
    modes: USUAL_MODES,
    signal: hangUp.signal,
    ...options,
  });
  if ('unavailable' in pty) assert.fail(pty.unavailable);
  assert.equal(pty.kind, kind);
  return watched(pty);
}

export function watched(pty: Pty): TestPty {
  let shown = '';
  let from = 0;
  let look = (): void => {};
  const decoder = new TextDecoder();
  pty.output.on('data', (data: Buffer) => {
    shown += decoder.decode(data, { stream: true });
    look();
  });
  const ended = new Promise<void>((resolve) => pty.output.once('close', resolve));
  return {
    ...pty,
    ended,
    shown: () => shown,
    type: (text) => void pty.input.write(text),
    see: (pattern) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`No ${pattern} in ${JSON.stringify(shown.slice(from))}`)),
          10_000,
        );
        look = () => {
          const match = pattern.exec(shown.slice(from));
          if (match === null) return;
          from += match.index + match[0].length;
          look = () => {};
          clearTimeout(timer);
          resolve(match);
        };
        look();
      }),
  };
}
