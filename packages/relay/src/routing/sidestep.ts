import { setTimeout as sleep } from 'node:timers/promises';
import type { Traffic } from '@burrow/tunnel';
import type { LinkChooser } from './router.ts';

const LOOK_MS = 100;
const MAX_LOOK_MS = 2_000;

/**
 * Looks for a link of the agent that answers, for what goes over one that does not. True: `choose` gives one; false:
 * `still` says that nobody needs it any more. Rejects with the signal's reason.
 */
export async function sidestep(
  router: Pick<LinkChooser, 'choose' | 'around'>,
  agentId: string,
  traffic: Traffic,
  still: () => boolean,
  signal?: AbortSignal,
): Promise<boolean> {
  for (let ms = LOOK_MS; still(); ms = Math.min(MAX_LOOK_MS, ms * 2)) {
    if (router.choose(agentId, traffic)?.stats.silent === false) return true;
    await router.around?.(agentId);
    if (router.choose(agentId, traffic)?.stats.silent === false) return still();
    await sleep(ms, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) });
  }
  return false;
}
