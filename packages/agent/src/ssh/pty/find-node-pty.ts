import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

/** Where VS Code's server may be, below the home folder; `*` stands for one folder. */
const IN_HOME = [
  '.vscode-server/cli/servers/*/server',
  '.vscode-server/bin/*',
  '.vscode-server-insiders/cli/servers/*/server',
  '.vscode-server-insiders/bin/*',
  '.vscode-remote/bin/*',
  '.cursor-server/bin/*',
  '.local/lib/code-server*/lib/vscode',
  '.local/share/code-server/lib/vscode',
];
const ANYWHERE = [
  '/usr/lib/code-server/lib/vscode',
  '/usr/local/lib/code-server/lib/vscode',
  '/usr/local/lib/node_modules/code-server/lib/vscode',
  '/usr/lib/node_modules/code-server/lib/vscode',
  '/opt/code-server/lib/vscode',
  '/opt/code-server*/lib/vscode',
  '/opt/openvscode-server*',
  '/home/.openvscode-server',
  '/vscode/vscode-server/bin/*/*',
];
/** Below BURROW_EDITOR_DIR, for each editor installed there, or for one given itself. */
const IN_EDITOR_DIR = ['*/node_modules/code-server/lib/vscode', 'lib/vscode', '.'];

const NAMES = ['node-pty', '@lydell/node-pty'];
const MAX_PROCESSES = 2_000;
const MAX_PLACES = 32;
/** How far above a file of a running editor its folder may be. */
const MAX_UP = 6;

/** Folders of modules that may be a node-pty, the nearest first, each once; all owned by us or by root. */
export async function* nodePtyPlaces(): AsyncGenerator<string> {
  const seen = new Set<string>();
  for await (const place of allPlaces()) {
    if (seen.has(place) || !(await trusted(place))) continue;
    seen.add(place);
    yield place;
    if (seen.size >= MAX_PLACES) return;
  }
}

async function* allPlaces(): AsyncGenerator<string> {
  const bundle = createRequire(import.meta.url);
  for (const name of NAMES) {
    for (const folder of bundle.resolve.paths(name) ?? []) yield join(folder, name);
  }
  const editor = process.env['BURROW_EDITOR_DIR'];
  if (editor !== undefined && isAbsolute(editor)) yield* inServers(editor, IN_EDITOR_DIR);
  yield* besideRunningServers();
  yield* inServers(homedir(), IN_HOME);
  yield* inServers('/', ANYWHERE);
}

async function* inServers(base: string, patterns: readonly string[]): AsyncGenerator<string> {
  for (const pattern of patterns) {
    for (const server of await matches(base, pattern.split('/'))) {
      yield join(server, 'node_modules/node-pty');
    }
  }
}

async function matches(base: string, parts: readonly string[]): Promise<string[]> {
  const [part, ...rest] = parts;
  if (part === undefined) return [base];
  if (!part.includes('*')) return matches(join(base, part), rest);
  const [before = '', after = ''] = part.split('*');
  const names = await readdir(base).catch(() => []);
  const fitting = names.filter((name) => name.startsWith(before) && name.endsWith(after));
  return (await Promise.all(fitting.map((name) => matches(join(base, name), rest)))).flat();
}

/** By the paths in the command lines of our own user's processes. */
async function* besideRunningServers(): AsyncGenerator<string> {
  const uid = process.getuid?.();
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const pid of pids.slice(0, MAX_PROCESSES)) {
    const owner = await stat(`/proc/${pid}`).catch(() => undefined);
    if (owner === undefined || owner.uid !== uid) continue;
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const exe = await readlink(`/proc/${pid}/exe`).catch(() => '');
    for (const path of [exe, ...line.split('\0').slice(0, 4)]) {
      if (isAbsolute(path) && /code|cursor/i.test(path)) yield* above(path);
    }
  }
}

function* above(path: string): Generator<string> {
  let folder = dirname(path);
  for (let i = 0; i < MAX_UP && folder !== '/'; i++, folder = dirname(folder)) {
    yield join(folder, 'node_modules/node-pty');
    yield join(folder, 'lib/vscode/node_modules/node-pty');
  }
}

/** What others could have put there is not run. */
async function trusted(place: string): Promise<boolean> {
  const found = await stat(join(place, 'package.json')).catch(() => undefined);
  return found?.isFile() === true && (found.uid === 0 || found.uid === process.getuid?.());
}
