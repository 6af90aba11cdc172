import type { Peers } from '../peers/index.ts';
import { REGISTRY_LIMITS } from './limits.ts';
import type { AgentRoute } from './registry.ts';
import type { Shunned } from './shunned.ts';

export interface ReachDeps {
  readonly peers: Pick<Peers, 'link'>;
  readonly shunned: Shunned;
}

/**
 * Dials until one of the relays has a link; true: one has. The next is dialled when one fails, or takes longer than
 * a relay that is well. A relay that cannot be reached is left alone for a while. Rejects with the signal's reason.
 */
export async function reachOne(
  routes: readonly AgentRoute[],
  { peers, shunned }: ReachDeps,
  signal: AbortSignal,
): Promise<boolean> {
  const left = routes.filter(({ relay }) => !shunned.has(relay.incarnation));
  const found = Promise.withResolvers<boolean>();
  let underWay = 0;
  let slow: NodeJS.Timeout | undefined;
  const dialOne = (): void => {
    clearTimeout(slow);
    const relay = left.shift()?.relay;
    if (relay === undefined) {
      if (underWay === 0) found.resolve(false);
      return;
    }
    underWay += 1;
    slow = setTimeout(dialOne, REGISTRY_LIMITS.slowDialMs);
    peers.link(relay, signal).then(
      () => {
        shunned.reached(relay.incarnation);
        found.resolve(true);
      },
      (error: unknown) => {
        underWay -= 1;
        if (signal.aborted) return found.reject(error as Error);
        shunned.failed(relay.incarnation);
        dialOne();
      },
    );
  };
  dialOne();
  try {
    return await found.promise;
  } finally {
    clearTimeout(slow);
    left.length = 0;
  }
}
