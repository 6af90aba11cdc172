/**
 * Access is judged when a request begins, but an upgraded connection (an
 * editor's, so a shell) lives for days. The policy is asked again whenever its
 * version has changed, and what it no longer lets pass ends.
 */
import type { Decision, GatePolicy, RequestHead } from './gate-policy.ts';
import type { HttpLog } from './gateway-deps.ts';
import type { Passed } from './route.ts';

/** A request that is younger (ms) is not asked about: its own decision is as fresh. */
export const WATCH_AFTER_MS = 400;

/** Of one request. At most one question is under way. */
export class AccessWatch {
  readonly #policy: GatePolicy;
  readonly #head: RequestHead;
  readonly #before: Passed;
  readonly #onLost: (decision: Decision) => void;
  #version = -1;
  #asking = false;

  /** `onLost` may be called after the request has ended: its owner compares. */
  constructor(
    policy: GatePolicy,
    head: RequestHead,
    before: Passed,
    onLost: (decision: Decision) => void,
  ) {
    this.#policy = policy;
    this.#head = head;
    this.#before = before;
    this.#onLost = onLost;
  }

  look(): void {
    const version = this.#policy.version;
    if (this.#asking || version === this.#version) return;
    try {
      const decision = this.#policy.decide(this.#head);
      if (!(decision instanceof Promise)) {
        this.#judge(decision, version);
        return;
      }
      this.#asking = true;
      decision.then(
        (made) => {
          this.#asking = false;
          this.#judge(made, version);
        },
        () => {
          // The database is in trouble: nobody said no. Asked again at the next look.
          this.#asking = false;
        },
      );
    } catch {
      // As above.
    }
  }

  #judge(decision: Decision, version: number): void {
    this.#version = version;
    if (!leadsToSame(decision, this.#before)) this.#onLost(decision);
  }
}

/** Same workspace, agent, port and person. Whatever else changed holds from the next request on. */
function leadsToSame(decision: Decision, before: Passed): boolean {
  if (decision.kind !== 'app' || before.kind !== 'app') return decision.kind === before.kind;
  return (
    decision.port === before.port &&
    decision.route.id === before.route.id &&
    decision.route.agentId === before.route.agentId &&
    decision.principal.userId === before.principal.userId
  );
}

export function logLost(
  log: HttpLog,
  head: RequestHead,
  decision: Decision,
  channel: string | undefined,
): void {
  log.info(
    {
      request: head.id,
      channel,
      host: head.authority,
      reason: reasonOf(decision),
      upgrade: head.upgrade,
    },
    'access was taken away, what was open is closed',
  );
}

/** The error code that a new request would get. */
function reasonOf(decision: Decision): string {
  if (decision.kind !== 'respond') return 'leads elsewhere';
  const { headers, status } = decision.response;
  const at = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'burrow-error');
  return (at === -1 ? undefined : headers[at + 1]) ?? String(status);
}
