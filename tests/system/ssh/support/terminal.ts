import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../../harness/eventually.ts';
import type { Stand } from './stand.ts';

/** A terminal of 80 × 24 in tmux, without status line, in which one command runs. */
export interface Terminal extends AsyncDisposable {
  /** As tmux names keys: `:q!`, `Enter`, `C-c`. */
  type(...keys: readonly string[]): Promise<void>;
  resize(cols: number, rows: number): Promise<void>;
  /** What is on the screen now: lines, without blanks at their ends. */
  screen(): Promise<string>;
  /** Waits for a screen on which `match` is found, and returns that once it no longer changes. */
  shows(what: string, match: RegExp): Promise<string>;
  /** The row and column of the cursor, from 0. */
  cursor(): Promise<string>;
}

let terminals = 0;

/** `command` is run by `sh -c`; the screen stays after its end. */
export async function startTerminal(stand: Stand, command: string): Promise<Terminal> {
  terminals += 1;
  const socket = join(stand.home, `t${terminals}`);
  const tmux = async (...args: readonly string[]): Promise<string> => {
    const ran = await stand.tool('tmux', ['-S', socket, ...args], {
      env: { LANG: 'C.UTF-8', TERM: 'xterm-256color', SHELL: '/bin/sh' },
    });
    if (ran.code !== 0) throw new Error(`tmux ${args.join(' ')}: ${ran.stderr}`);
    return ran.stdout;
  };
  const settings = join(stand.home, 'tmux.conf');
  writeFileSync(
    settings,
    ['status off', 'remain-on-exit on', 'default-terminal screen-256color']
      .map((setting) => `set -g ${setting}\n`)
      .join(''),
  );
  await tmux('-f', settings, 'new-session', '-d', '-x', '80', '-y', '24', command);
  const screen = async (): Promise<string> =>
    (await tmux('capture-pane', '-p'))
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n');
  return {
    screen,
    type: async (...keys) => void (await tmux('send-keys', ...keys)),
    resize: async (cols, rows) =>
      void (await tmux('resize-window', '-x', String(cols), '-y', String(rows))),
    cursor: async () => (await tmux('display', '-p', '#{cursor_y},#{cursor_x}')).trim(),
    async shows(what, match) {
      let last = '';
      try {
        return await eventually(what, async () => {
          const now = await screen();
          const still = now === last;
          last = now;
          return still && match.test(now) ? now : undefined;
        });
      } catch (cause) {
        throw new Error(`The screen does not show ${what}:\n${last}`, { cause });
      }
    },
    async [Symbol.asyncDispose]() {
      await tmux('kill-server').catch(() => {});
    },
  };
}
