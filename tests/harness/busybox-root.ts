import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { installEditor } from '../../scripts/install-editor.mjs';
import { startAgentProcess, type AgentProcess } from './agent-process.ts';

const BUSYBOX = '/bin/busybox';

/** A root file system with BusyBox, Node and the agent's bundle, and nothing else. */
export interface BusyboxRoot extends AsyncDisposable {
  /** In namespaces of its own: what the agent leaves behind ends with it. */
  startAgent(env: Readonly<Record<string, string>>): AgentProcess;
}

export interface BusyboxRootOptions {
  readonly bundle: string;
  /** Lay VS Code's `node-pty` beside the bundle. */
  readonly nodePty?: boolean;
}

/** Why there can be none here; false: there can. */
export function whyNoBusyboxRoot(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, to change the root folder';
  const tried = spawnSync('unshare', [...NAMESPACES, 'true'], { encoding: 'utf8' });
  return tried.status === 0 ? false : `needs namespaces: ${tried.stderr.trim()}`;
}

export async function busyboxRoot(options: BusyboxRootOptions): Promise<BusyboxRoot> {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-busybox-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const agents = new AsyncDisposableStack();
  try {
    const root = join(folder, 'root');
    await furnish(root, options);
    const enter = join(folder, 'enter');
    writeFileSync(enter, ENTER, { mode: 0o755 });
    return {
      startAgent: (env) => agents.use(startAgentProcess('/opt/burrow-agent.mjs', env, enter)),
      async [Symbol.asyncDispose]() {
        await agents.disposeAsync();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

async function furnish(root: string, { bundle, nodePty }: BusyboxRootOptions): Promise<void> {
  for (const folder of ['bin', 'proc', 'dev/pts', 'tmp', 'root', 'opt']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
  const { stdout } = spawnSync(BUSYBOX, ['--list'], { encoding: 'utf8' });
  for (const applet of stdout.split('\n').filter((name) => name !== '' && name !== 'busybox')) {
    symlinkSync('busybox', join(root, 'bin', applet));
  }
  const programs = [process.execPath];
  copyFileSync(process.execPath, join(root, 'opt/node'));
  copyFileSync(bundle, join(root, 'opt/burrow-agent.mjs'));
  if (nodePty === true) {
    const module = join(await installEditor(), 'node_modules/node-pty');
    cpSync(module, join(root, 'opt/node_modules/node-pty'), { recursive: true });
    programs.push(join(module, `prebuilds/linux-${process.arch}/pty.node`));
  }
  for (const file of programs.flatMap(librariesOf)) {
    mkdirSync(join(root, dirname(file)), { recursive: true });
    copyFileSync(file, join(root, file));
  }
}

const NAMESPACES = ['--mount', '--pid', '--fork', '--kill-child'];

/** Takes the place of `node`; the mounts go with their namespace. */
const ENTER = `#!/bin/sh
exec /usr/bin/unshare ${NAMESPACES.join(' ')} /bin/sh -ec '
cd "$1/root"
mount -t proc proc proc
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -sf pts/ptmx dev/ptmx
for device in null zero urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
# This shell stays, as the first process: it reaps what others leave, as a container’s init does.
PATH=/bin /usr/sbin/chroot . /opt/node "$2"
' enter "$(dirname "$0")" "$1"
`;

/** Shared objects that a program is linked with, the loader too. */
function librariesOf(program: string): string[] {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, file]) => file ?? '');
}
