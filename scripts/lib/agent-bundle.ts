import { existsSync, globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { buildAgent } from '../build-agent.mjs';
import { withLock } from './lock.mjs';
import { ROOT } from './project-node.mjs';

const SOURCES = [
  'packages/agent/src/**/*.ts',
  'packages/ssh/src/**/*.ts',
  'packages/tunnel/src/**/*',
  'packages/*/package.json',
  'package-lock.json',
  'scripts/build-agent.mjs',
];

/** Builds the agent's one file unless it is newer than all it is made of. Returns its path. */
export async function ensureAgentBundle(): Promise<string> {
  const bundle = join(ROOT, 'dist/burrow-agent.mjs');
  const fresh = (): boolean => {
    if (!existsSync(bundle)) return false;
    const built = statSync(bundle).mtimeMs;
    return globSync(SOURCES, { cwd: ROOT }).every((file) => {
      return statSync(join(ROOT, file)).mtimeMs < built;
    });
  };
  if (!fresh()) {
    await withLock(join(ROOT, '.burrow/agent.lock'), async () => {
      if (!fresh()) await buildAgent(bundle);
    });
  }
  return bundle;
}
