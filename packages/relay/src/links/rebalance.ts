import type { Link } from '@burrow/tunnel';

export interface RebalanceOptions {
  /** Links of agents that end at this relay. */
  readonly links: () => Iterable<Link>;
  /** Incarnations of the live relays, this one among them. Rejections are ignored: the next look follows. */
  readonly relays: () => Promise<readonly string[]>;
  /** After another relay has joined, each link that was there is asked to move once within this time (ms). 0: never. */
  readonly spreadMs: number;
  readonly log: { info(fields: object, message: string): void };
  /** ms of a steady clock. */
  readonly now?: () => number;
}

export interface Rebalance {
  /** Looks, and moves what is due. Called by a timer of its own after `start`; by tests by hand. */
  tick(): Promise<void>;
  start(): void;
  /** Idempotent. */
  stop(): void;
}

const TICK_MS = 2_000;
/** An agent moves its channels over and lets go long before. */
const DRAIN_MS = 60_000;

/**
 * Gives a relay that has joined its share. A link that is dialled anew, through
 * the balancer, meets each relay with the same chance; so when every link that
 * was there before has been dialled once more, they are spread evenly. Slowly,
 * and one link of an agent at a time: what runs over it moves without a break.
 */
export function createRebalance(options: RebalanceOptions): Rebalance {
  const { links, relays, spreadMs, log, now = () => performance.now() } = options;
  /** Every run that was ever seen: an emptied Redis makes nobody new. */
  let known: Set<string> | undefined;
  let due: Link[] = [];
  let until = 0;
  let timer: NodeJS.Timeout | undefined;
  let looking = false;

  async function tick(): Promise<void> {
    if (spreadMs === 0) return;
    const alive = new Set(await relays());
    const joined = known === undefined ? [] : [...alive].filter((each) => !known?.has(each));
    known = new Set([...(known ?? []), ...alive]);
    if (joined.length > 0) {
      due = shuffled([...links()]);
      until = now() + spreadMs;
      log.info({ joined: joined.length, links: due.length }, 'a relay joined: links spread anew');
    }
    if (due.length === 0) return;
    const ticks = Math.max(1, Math.ceil((until - now()) / TICK_MS));
    for (let move = Math.ceil(due.length / ticks); move > 0 && due.length > 0;) {
      const link = due.pop()!;
      if (link.closed || link.draining) continue;
      link.drain(DRAIN_MS, 'A relay has joined: links are spread anew.');
      move -= 1;
    }
  }

  return {
    tick,
    start() {
      timer ??= setInterval(() => {
        if (looking) return;
        looking = true;
        tick()
          .catch(() => {})
          .finally(() => (looking = false));
      }, TICK_MS);
      timer.unref();
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
      due = [];
    },
  };
}

function shuffled<T>(items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}
