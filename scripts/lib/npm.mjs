import { spawn } from 'node:child_process';

const KEEP_OUTPUT = 16 * 1024;

/**
 * The environment for npm and all that it starts. A preset `nodedir` would make
 * native add-ons build against the headers of another Node.
 */
export function cleanEnvironment(env = process.env) {
  const copy = { ...env };
  delete copy.npm_config_nodedir;
  return copy;
}

/**
 * Runs npm quietly; its output is shown only when it fails.
 * @param {readonly string[]} args
 * @param {{ cwd: string, signal?: AbortSignal }} options
 * @returns {Promise<void>}
 */
export async function npm(args, { cwd, signal }) {
  // Under `npm start` this is npm's own script: the same npm, no look-up in PATH.
  const script = process.env.npm_execpath?.endsWith('.js') ? process.env.npm_execpath : undefined;
  const command = script === undefined ? 'npm' : process.execPath;
  const all = [...(script === undefined ? [] : [script]), ...args];
  const env = cleanEnvironment();
  // npm tells its scripts where the project is; inside another folder that would mislead it.
  for (const name of ['npm_config_local_prefix', 'npm_config_prefix', 'INIT_CWD']) delete env[name];
  const child = spawn(command, all, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal === undefined ? {} : { signal, killSignal: 'SIGTERM' }),
    shell: process.platform === 'win32' && script === undefined,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output = (output + text).slice(-KEEP_OUTPUT);
    });
  }
  const [code, by] = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...result) => resolve(result));
  });
  if (code !== 0) {
    throw new Error(
      `npm ${args[0]} in ${cwd} ended with ${by ?? `code ${code}`}:\n${output.trim()}`,
    );
  }
}
