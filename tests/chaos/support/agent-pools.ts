import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PROCESSES = 2;

/** Idle agents in processes of their own, by the agent's own pool of links, one link each. */
export interface AgentPools {
  /** Links they hold now. */
  readonly links: number;
  /** From when it resolves they dial this relay; what they have stays. */
  dial(url: string): Promise<void>;
  stop(): void;
}

export function startAgentPools(order: {
  readonly url: string;
  readonly tokens: readonly string[];
  /** PEM of the authority of the relays' certificates. */
  readonly ca?: string | undefined;
}): AgentPools {
  const { url, tokens, ca } = order;
  const pools = Array.from({ length: PROCESSES }, (_, index) => {
    const mine = tokens.filter((_token, i) => i % PROCESSES === index);
    return startOne({ url, tokens: mine, ca });
  });
  return {
    get links() {
      return pools.reduce((sum, { links }) => sum + links(), 0);
    },
    dial: async (to) => void (await Promise.all(pools.map(({ dial }) => dial(to)))),
    stop() {
      for (const { child } of pools) child.kill('SIGKILL');
    },
  };
}

interface Pool {
  readonly child: ChildProcess;
  readonly links: () => number;
  readonly dial: (url: string) => Promise<void>;
}

function startOne(order: object): Pool {
  const script = join(import.meta.dirname, 'agent-pools-process.ts');
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let links = 0;
  const heard = new Map<string, () => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('links ')) links = Number(line.slice(6));
    else heard.get(line)?.();
  });
  const tell = (what: object): boolean => child.stdin.write(`${JSON.stringify(what)}\n`);
  tell(order);
  return {
    child,
    links: () => links,
    dial: (url) =>
      new Promise((resolve) => {
        heard.set(`dials ${url}`, resolve);
        tell({ url });
      }),
  };
}
