import { randomInt } from 'node:crypto';

/** No vowels, so that no words come out; no Y: RFC 8628, section 6.1. */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ';

/** For people to compare on two screens, e.g. `WDJB-MJHT`: one of 25 billion. Proves nothing by itself. */
export function newUserCode(): string {
  const four = (): string =>
    Array.from({ length: 4 }, () => LETTERS[randomInt(LETTERS.length)]).join('');
  return `${four()}-${four()}`;
}
