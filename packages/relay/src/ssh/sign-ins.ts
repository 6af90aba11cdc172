import { randomUUID } from 'node:crypto';
import type { Principal } from '../auth/principal.ts';
import type { Origin, Proof } from './authority.ts';

export interface SignIn {
  readonly id: string;
  readonly principal: Principal;
  readonly proof: Proof;
  readonly origin: Origin;
  /** Set once it leads to a workload. */
  workspace: string | undefined;
  readonly since: number;
}

/** Who is signed in through the gateway now, and how they proved it. */
export class SignIns {
  readonly #live = new Map<string, SignIn>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#live.size;
  }

  add(principal: Principal, proof: Proof, origin: Origin): SignIn {
    const id = randomUUID();
    const made = { id, principal, proof, origin, workspace: undefined, since: this.#now() };
    this.#live.set(id, made);
    return made;
  }

  get(id: string): SignIn | undefined {
    return this.#live.get(id);
  }

  all(): readonly SignIn[] {
    return [...this.#live.values()];
  }

  remove(id: string): SignIn | undefined {
    const found = this.#live.get(id);
    this.#live.delete(id);
    return found;
  }
}
