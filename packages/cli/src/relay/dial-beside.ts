import { TunnelError, type Link } from '@burrow/tunnel';

/** Behind a balancer's address one relay may stand still while others are well: a dial takes far less. ms */
const NEXT_AFTER_MS = 1_500;
/** A balancer that takes turns may send several to the one that stands still. */
const AT_ONCE = 4;

/**
 * One dial, and another beside it whenever none has been answered for `afterMs`, AT_ONCE at most. Resolves with the
 * link that comes first, and closes the others; rejects with the error of the last when all have failed.
 */
export function dialBeside(
  dial: () => Promise<Link>,
  afterMs: number = NEXT_AFTER_MS,
): Promise<Link> {
  return new Promise((resolve, reject) => {
    let begun = 0;
    let underWay = 0;
    let won = false;
    const attempt = (): void => {
      begun += 1;
      underWay += 1;
      if (begun === AT_ONCE) clearInterval(more);
      dial().then(
        (link) => {
          clearInterval(more);
          if (won) link.close(new TunnelError('cancelled', 'Another link was there first.'));
          won = true;
          resolve(link);
        },
        (error: unknown) => {
          underWay -= 1;
          if (underWay > 0) return;
          clearInterval(more);
          reject(error as Error);
        },
      );
    };
    const more = setInterval(attempt, afterMs);
    attempt();
  });
}
