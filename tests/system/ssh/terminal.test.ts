// Programs that own the screen, in tmux: the same one here and through ssh draws the same.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hostOf, SERVERS, startStand, WAYS, type Stand } from './support/stand.ts';
import { startTerminal, type Terminal } from './support/terminal.ts';

let stand: Stand;

before(async () => {
  stand = await startStand();
  const lines = Array.from(
    { length: 200 },
    (_, i) => `line ${i} of a text, gråß 漢字 ${'x'.repeat(i % 70)}`,
  );
  writeFileSync(
    join(stand.home, 'vimrc'),
    'set nocompatible encoding=utf-8 laststatus=2 statusline=%f\\ %{&columns}x%{&lines}\\ %l,%c\n',
  );
  writeFileSync(join(stand.home, 'text'), `${lines.join('\n')}\n`);
});

after(() => stand?.[Symbol.asyncDispose]());

const LOCALE = 'LANG=C.UTF-8 LC_ALL=C.UTF-8';
const DRAWING = join(import.meta.dirname, 'support/screen.py');

type Step = (terminal: Terminal) => Promise<string>;

/** What is on the screen after each step. */
async function played(command: string, steps: readonly Step[]): Promise<string[]> {
  await using terminal = await startTerminal(stand, command);
  const screens: string[] = [];
  for (const step of steps) {
    const screen = await step(terminal);
    screens.push(`${screen}\n${await terminal.cursor()}`);
  }
  return screens;
}

const vim: readonly Step[] = [
  (terminal) => terminal.shows('the text', /line 21 /),
  async (terminal) => {
    await terminal.type('G', 'o', 'written in vim', 'Escape');
    return terminal.shows('the line', /written in vim/);
  },
  async (terminal) => {
    await terminal.type(':split', 'Enter', 'gg');
    return terminal.shows('both windows', /line 0 .*\n(.*\n)+.*written in vim/);
  },
  async (terminal) => {
    await terminal.resize(100, 40);
    return terminal.shows('the new size', /100x40/);
  },
];

const curses: readonly Step[] = [
  (terminal) => terminal.shows('the size', / 80 x 24 /),
  async (terminal) => {
    await terminal.type('Up', 'F5', 'x', 'C-a', 'PageDown');
    return terminal.shows('the keys', /KEY_UP KEY_F\(5\) x \^A KEY_NPAGE/);
  },
  async (terminal) => {
    await terminal.resize(61, 17);
    return terminal.shows('the new size', / 61 x 17 /);
  },
];

for (const way of WAYS) {
  for (const server of SERVERS) {
    const host = hostOf(way, server);
    describe(`${host}`, { timeout: 120_000 }, () => {
      const through = (command: string): string =>
        `exec ssh -t -F ${stand.config} ${host} "${command}"`;

      test('vim and a program of curses draw what they draw here, resized too', async () => {
        const edit = `cd / && ${LOCALE} vim -u ${join(stand.home, 'vimrc')} -i NONE -n ${join(stand.home, 'text')}`;
        const draw = `cd / && ${LOCALE} /usr/bin/python3 ${DRAWING}`;
        for (const [command, steps] of [
          [edit, vim],
          [draw, curses],
        ] as const) {
          const [here, there] = await Promise.all([
            played(command, steps),
            played(through(command), steps),
          ]);
          assert.deepEqual(there, here);
        }
      });

      test('a shell: window size, job control, interrupts; top draws, and quits', async () => {
        await using terminal = await startTerminal(
          stand,
          through(`${LOCALE} PS1='ready> ' sh -i; echo ended with \\$?`),
        );
        await terminal.shows('the prompt', /^ready>$/m);
        await terminal.resize(97, 31);
        await terminal.type('stty size', 'Enter');
        await terminal.shows('the size', /^31 97$/m);
        await terminal.type('sleep 1000', 'Enter', 'C-c');
        await terminal.type('echo status $?', 'Enter');
        await terminal.shows('the interrupt', /^status 130$/m);
        await terminal.type('clear; TERM=xterm HOME=/nowhere top', 'Enter');
        await terminal.shows('processes', /PID USER[^]*%CPU/).catch(async (error: unknown) => {
          // It draws every 3 s, so that it may not hold still for long.
          if (!/PID USER/.test(await terminal.screen())) throw error;
        });
        await terminal.type('q');
        // Leaving, it forgets what was typed meanwhile.
        await terminal.shows('the prompt again', /^ready>\n*$/m);
        await terminal.type('exit 7', 'Enter');
        await terminal.shows('the end', /ended with 7/);
      });
    });
  }
}

test('afterwards nothing is open', () => stand.idle());
