import { TunnelError, type Link } from '@burrow/tunnel';

/** Behind a balancer's address one relay may stand still while another is well: a dial takes far less. ms */
const SECOND_AFTER_MS = 1_500;

/**
 * One dial, and a second beside it when the first has not been answered for `afterMs`. Resolves with the link that
 * comes first, and closes the other; rejects with the error of the last that failed.
 */
export function dialTwice(
  dial: () => Promise<Link>,
  afterMs: number = SECOND_AFTER_MS,
): Promise<Link> {
  return new Promise((resolve, reject) => {
    let underWay = 0;
    let won = false;
    const attempt = (): void => {
      underWay += 1;
      dial().then(
        (link) => {
          clearTimeout(second);
          if (won) link.close(new TunnelError('cancelled', 'Another link was there first.'));
          won = true;
          resolve(link);
        },
        (error: unknown) => {
          underWay -= 1;
          if (underWay > 0) return;
          clearTimeout(second);
          reject(error as Error);
        },
      );
    };
    const second = setTimeout(attempt, afterMs);
    attempt();
  });
}
