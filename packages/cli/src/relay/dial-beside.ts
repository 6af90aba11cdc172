import { TunnelError, type Link } from '@burrow/tunnel';
import { CliError, EXIT } from '../cli-error.ts';

/** Behind a balancer's address one relay may stand still while others are well: a dial takes far less. ms */
const NEXT_AFTER_MS = 1_500;
/** A balancer that takes turns may send several to the one that stands still. */
const AT_ONCE = 4;
/** Times that another may begin, within 12 s. Then those under way decide: it ends though all relays stand still. */
const TURNS = 8;

/** One try. The signal: another was first, end it. */
export type DialLink = (signal: AbortSignal) => Promise<Link>;

/**
 * One dial, and another beside it every `afterMs` while none has been answered: AT_ONCE under way at most, in TURNS
 * turns. Resolves with the link that comes first, and ends the others. Rejects with the error of the last when all
 * have failed, and at once when the relay knows us no longer: no other way would do better.
 */
export function dialBeside(dial: DialLink, afterMs: number = NEXT_AFTER_MS): Promise<Link> {
  return new Promise((resolve, reject) => {
    const over = new AbortController();
    let turns = 0;
    let underWay = 0;
    const finish = (): void => {
      clearInterval(more);
      over.abort(new TunnelError('cancelled', 'Another dial decided.'));
    };
    const attempt = (): void => {
      underWay += 1;
      dial(over.signal).then(
        (link) => {
          if (over.signal.aborted) {
            link.close(new TunnelError('cancelled', 'Another link was there first.'));
            return;
          }
          finish();
          resolve(link);
        },
        (error: unknown) => {
          underWay -= 1;
          if (over.signal.aborted || (underWay > 0 && !isFinal(error))) return;
          finish();
          reject(error as Error);
        },
      );
    };
    const more = setInterval(() => {
      turns += 1;
      if (turns === TURNS) clearInterval(more);
      if (underWay < AT_ONCE) attempt();
    }, afterMs);
    attempt();
  });
}

function isFinal(error: unknown): boolean {
  return error instanceof CliError && error.exitCode === EXIT.notSignedIn;
}
