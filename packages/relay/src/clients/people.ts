import { TunnelError } from '@burrow/tunnel';

interface Counts {
  links: number;
  waiting: number;
}

/** How much each person has open here. */
export class People {
  readonly #counts = new Map<string, Counts>();
  readonly #caps: { readonly linksPerPerson: number; readonly waitingPerPerson: number };

  constructor(caps: { readonly linksPerPerson: number; readonly waitingPerPerson: number }) {
    this.#caps = caps;
  }

  /** Takes a place for a link. Throws TunnelError `too-many-links`. Returns what gives it back, once. */
  enter(userId: string): () => void {
    if ((this.#counts.get(userId)?.links ?? 0) >= this.#caps.linksPerPerson) {
      throw new TunnelError(
        'too-many-links',
        `You have ${this.#caps.linksPerPerson} connections to this relay already; end some of them first.`,
      );
    }
    return this.#take(userId, 'links');
  }

  /** Takes a place for a channel that waits for its agent. Throws TunnelError `limit`. */
  wait(userId: string): () => void {
    if ((this.#counts.get(userId)?.waiting ?? 0) >= this.#caps.waitingPerPerson) {
      throw new TunnelError(
        'limit',
        `${this.#caps.waitingPerPerson} of your connections wait for workspaces already; try again shortly.`,
      );
    }
    return this.#take(userId, 'waiting');
  }

  #take(userId: string, what: keyof Counts): () => void {
    let counts = this.#counts.get(userId);
    if (counts === undefined) this.#counts.set(userId, (counts = { links: 0, waiting: 0 }));
    const mine = counts;
    mine[what] += 1;
    let given = false;
    return () => {
      if (given) return;
      given = true;
      mine[what] -= 1;
      if (mine.links === 0 && mine.waiting === 0) this.#counts.delete(userId);
    };
  }
}
