import { TunnelError } from '@burrow/tunnel';
import { within } from '../within.ts';

/** The answer about one token, of an agent or a person. Rejects with TunnelError `unavailable` after `ms`. */
export function checkToken<T>(ms: number, answer: T | Promise<T>): Promise<T> {
  return within(
    ms,
    answer,
    () =>
      new TunnelError(
        'unavailable',
        'The relay took too long to check the token; try again shortly.',
      ),
  );
}
