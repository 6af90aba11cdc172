import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { nodePtyPlaces } from './find-node-pty.ts';
import { PtyLadder } from './ladder.ts';
import { findNodePty } from './node-pty.ts';
import { terminal } from './testing-pty.ts';
import type { FindRung, Pty, PtyKind, PtyOptions } from './types.ts';

const options: PtyOptions = {
  command: { file: 'sh', args: [] },
  env: {},
  cwd: '/no/such/folder',
  term: 'xterm',
  cols: 0,
  rows: 0,
  modes: {},
  signal: new AbortController().signal,
};

function fakePty(kind: PtyKind, sizes: number[][] = []): Pty {
  return {
    kind,
    pid: 99,
    output: new PassThrough(),
    input: new PassThrough(),
    resize: (...size) => void sizes.push(size),
    kill: () => {},
    exited: new Promise(() => {}),
  };
}

describe('the ladder', () => {
  it('takes the first way that works, and remembers it', async () => {
    const asked: string[] = [];
    const given: PtyOptions[] = [];
    const sizes: number[][] = [];
    const find =
      (kind: PtyKind, works: boolean): FindRung =>
      async () => {
        asked.push(kind);
        if (!works) return `no ${kind}`;
        return {
          kind,
          start: async (all) => {
            given.push(all);
            return fakePty(kind, sizes);
          },
        };
      };
    const ladder = new PtyLadder(undefined, {
      'node-pty': find('node-pty', false),
      python: find('python', true),
      script: find('script', true),
    });
    const all = await Promise.all([ladder.start(options), ladder.start(options)]);
    assert.deepEqual(
      all.map((pty) => 'kind' in pty && pty.kind),
      ['python', 'python'],
    );
    assert.deepEqual(asked, ['node-pty', 'python']);
    // What was not said is made up: a folder that exists, 80 × 24.
    assert.deepEqual([given[0]?.cwd, given[0]?.cols, given[0]?.rows], ['/', 80, 24]);
    const [pty] = all;
    assert.ok(pty !== undefined && 'kind' in pty);
    pty.resize(0, 20);
    pty.resize(1e9, 20);
    assert.deepEqual(sizes, [[65_535, 20]]);
  });

  it('looks again when what worked has stopped working', async () => {
    let [first, found] = [true, 0];
    const broken: FindRung = async () => {
      found++;
      if (!first) return 'no python';
      first = false;
      return { kind: 'python', start: () => Promise.reject(new Error('gone')) };
    };
    const works: FindRung = async () => ({
      kind: 'script',
      start: async () => fakePty('script'),
    });
    const ladder = new PtyLadder(undefined, {
      'node-pty': async () => 'no node-pty',
      python: broken,
      script: works,
    });
    const pty = await ladder.start(options);
    assert.equal('kind' in pty && pty.kind, 'script');
    assert.equal(found, 2);
  });

  it('says in one sentence why there are no terminals', async () => {
    const nothing: FindRung = async () => 'nothing';
    const rungs = { 'node-pty': nothing, python: nothing, script: nothing };
    assert.deepEqual(await new PtyLadder(undefined, rungs).start(options), {
      unavailable: 'Terminals are not available here: this workload has nothing, nothing, nothing.',
    });
    assert.deepEqual(await new PtyLadder('none').start(options), {
      unavailable: 'Terminals are not available here: they are turned off (BURROW_SSH_PTY=none).',
    });
    assert.deepEqual(await new PtyLadder('python', rungs).start(options), {
      unavailable: 'Terminals are not available here: this workload has nothing.',
    });
  });
});

describe('a node-pty found on the way', () => {
  async function editor(t: TestContext, code: string): Promise<string> {
    const base = await mkdtemp(join(tmpdir(), 'burrow-editor-'));
    t.after(() => rm(base, { recursive: true, force: true }));
    const module = join(base, 'lib/vscode/node_modules/node-pty');
    await mkdir(module, { recursive: true });
    await writeFile(join(module, 'package.json'), '{"name":"node-pty","main":"index.js"}');
    await writeFile(join(module, 'index.js'), code);
    const before = process.env['BURROW_EDITOR_DIR'];
    process.env['BURROW_EDITOR_DIR'] = base;
    t.after(() => {
      if (before === undefined) delete process.env['BURROW_EDITOR_DIR'];
      else process.env['BURROW_EDITOR_DIR'] = before;
    });
    return module;
  }

  it('may lie in an editor', async (t) => {
    const module = await editor(t, '');
    const places: string[] = [];
    for await (const place of nodePtyPlaces()) places.push(place);
    assert.ok(places.includes(module));
    assert.equal(new Set(places).size, places.length);
  });

  it('is passed over when it cannot be loaded, ends its process or makes no terminal', async (t) => {
    const { signal } = new AbortController();
    const broken = [
      await editor(t, 'throw new Error("made for another system")'),
      await editor(t, 'process.abort()'),
      await editor(
        t,
        'exports.spawn = () => ({ onData() {}, onExit: (end) => end({ exitCode: 1 }) })',
      ),
    ];
    assert.equal(await findNodePty(signal, broken), 'no node-pty that can be loaded');
    const good = dirname(createRequire(import.meta.url).resolve('@lydell/node-pty/package.json'));
    const found = await findNodePty(signal, [...broken, good]);
    assert.ok(typeof found !== 'string');
    assert.equal(found.kind, 'node-pty');
  });
});

const found = (process.env['PATH'] ?? '').split(':').some((dir) => existsSync(join(dir, 'vim')));

describe('full-screen programs', { skip: found ? false : 'needs vim' }, () => {
  for (const kind of ['node-pty', 'python', 'script']) {
    it(`draw to the size of the terminal, and again to a new one (${kind})`, async (t) => {
      const pty = await terminal(t, kind, ['vim', '-u', 'NONE', '-N']);
      await pty.see(/VIM - Vi IMproved|~/);
      pty.type(':echo &lines . "by" . &columns\r');
      await pty.see(/40by100/);
      pty.type(':autocmd VimResized * echo &lines . "by" . &columns\r:echo "do" . "ne"\r');
      await pty.see(/done/);
      pty.resize(132, 50);
      await pty.see(/50by132/);
      pty.type(':q!\r');
      assert.deepEqual(await pty.exited, { code: 0, signal: null });
    });
  }
});
