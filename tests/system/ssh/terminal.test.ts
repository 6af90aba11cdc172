// Programs that own the screen, in tmux: the same one here and through ssh draws the same.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../../harness/eventually.ts';
import { hostOf, SERVERS, startStand, WAYS, type Stand } from './support/stand.ts';
import { startTerminal, type Terminal } from './support/terminal.ts';

let stand: Stand;
/** The screens of each program as it runs here. */
let here: string[][];

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
  here = await Promise.all(PROGRAMS().map(([command, steps]) => played(command, steps)));
});

/** Both run at the root, so that they call files the same. */
const PROGRAMS = (): (readonly [string, readonly Step[]])[] => [
  [
    `cd / && ${LOCALE} vim -u ${join(stand.home, 'vimrc')} -i NONE -n ${join(stand.home, 'text')}`,
    vim,
  ],
  [`cd / && ${LOCALE} /usr/bin/python3 ${DRAWING}`, curses],
];

after(() => stand?.[Symbol.asyncDispose]());

const LOCALE = 'LANG=C.UTF-8 LC_ALL=C.UTF-8';
const DRAWING = join(import.meta.dirname, 'support/screen.py');

interface Step {
  readonly what: string;
  readonly act?: (terminal: Terminal) => Promise<void>;
  /** The last that is drawn. */
  readonly shows: RegExp;
}

/** The screen, and where the cursor is. */
const seen = async (terminal: Terminal): Promise<string> =>
  `${await terminal.screen()}\n${await terminal.cursor()}`;

/** What is on the screen after each step, here. */
async function played(command: string, steps: readonly Step[]): Promise<string[]> {
  await using terminal = await startTerminal(stand, command);
  const screens: string[] = [];
  for (const { what, act, shows } of steps) {
    await act?.(terminal);
    await terminal.shows(what, shows);
    screens.push(await seen(terminal));
  }
  return screens;
}

/** The same steps elsewhere, each of which must come to the same screen. */
async function replayed(
  command: string,
  steps: readonly Step[],
  screens: readonly string[],
): Promise<void> {
  await using terminal = await startTerminal(stand, command);
  for (const [index, { what, act }] of steps.entries()) {
    await act?.(terminal);
    await eventually(what, async () => (await seen(terminal)) === screens[index]).catch(() => {});
    assert.equal(await seen(terminal), screens[index], what);
  }
}

const vim: readonly Step[] = [
  { what: 'the text', shows: /line 21 [^]*80x24 1,1\n.*200L/ },
  {
    what: 'a line that is written',
    act: (terminal) => terminal.type('G', 'o', 'written in vim', 'Escape'),
    shows: /written in vim[^]*80x24 201,14\n\n/,
  },
  {
    what: 'two windows',
    act: (terminal) => terminal.type(':split', 'Enter', 'gg'),
    shows: /^line 0 [^]*80x24 1,1\n[^]*written in vim\n[^]*80x24 201,1/,
  },
  {
    what: 'another size',
    act: (terminal) => terminal.resize(100, 40),
    shows: /^line 0 [^]*100x40 1,1\n[^]*written in vim\n[^]*100x40 201,1/,
  },
];

const curses: readonly Step[] = [
  { what: 'a drawing', shows: / 80 x 24 [^]* keys: {2}ünïcode/ },
  {
    what: 'keys',
    act: (terminal) => terminal.type('Up', 'F5', 'x', 'C-a', 'PageDown'),
    shows: /KEY_UP KEY_F\(5\) x \^A KEY_NPAGE ünïcode/,
  },
  {
    what: 'another size',
    act: (terminal) => terminal.resize(61, 17),
    shows: / 61 x 17 [^]*KEY_NPAGE ünïcode/,
  },
];

// They wait more than they work.
describe('terminals', { concurrency: 6, timeout: 240_000 }, () => {
  for (const way of WAYS) {
    for (const server of SERVERS) {
      const host = hostOf(way, server);
      describe(`${host}`, { concurrency: 1 }, () => {
        const through = (command: string): string =>
          `exec ssh -t -F ${stand.config} ${host} "${command}"`;

        test('vim and a program of curses draw what they draw here, resized too', async () => {
          for (const [index, [command, steps]] of PROGRAMS().entries()) {
            await replayed(through(command), steps, here[index] ?? []);
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
          // What is typed before a program waits, an interrupt would take back.
          await terminal.type('echo sleeping; sleep 1000', 'Enter');
          await terminal.shows('that it sleeps', /^sleeping$/m);
          await terminal.type('C-c');
          await terminal.shows('the prompt after it', /\^C[^]*^ready>\n*$/m);
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
});

test('afterwards nothing is open', () => stand.idle());
