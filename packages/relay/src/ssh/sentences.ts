import { tooManyAttempts, type Wait } from '../auth/attempt-wait.ts';

/** What people read in their terminal. What happened, and what to do next. */

export const SENTENCES = {
  notSignedIn: (keysUrl: string) =>
    `Burrow knows none of your keys. Add one at ${keysUrl} (POST /api/v1/user/keys, or "burrow keys add"), or sign in with a personal access token as password.`,
  tooMany: (wait: Wait) =>
    wait.counted === 'address'
      ? tooManyAttempts(wait)
      : `${tooManyAttempts(wait)} A key signs in at any time, and so does the browser (ssh -o PreferredAuthentications=keyboard-interactive).`,
  tooManyTries:
    'Too many tries on one connection. Use `ssh -o IdentitiesOnly=yes -i KEY …` to offer one key.',
  waiting: (workspace: string) => `Waiting for the agent of ${workspace} to connect …`,
  approve: (url: string, userCode: string) =>
    `To sign in, open this link in a browser:\n\n  ${url}\n\nIt shows the code ${userCode}. Approve it there, then press Enter here.\n`,
  notApproved: 'The sign-in was not approved in time.',
  unreachable: (workspace: string, why: string) => `Cannot reach ${workspace}: ${why}`,
  hostKey: (workspace: string) =>
    `The SSH server in ${workspace} does not have the host key that its agent reported. Nothing was sent to it. Ask who runs the workload.`,
  /** `why`: of the channel or of SSH; undefined when it says no more than that the way is gone. */
  lost: (workspace: string, why?: string) =>
    why === undefined
      ? `The connection to ${workspace} was lost: its agent is gone. Connect again once it is back.`
      : `The connection to ${workspace} was lost: ${why}`,
  relayStops: 'The relay shuts down. Connect again.',
  onlyJumps:
    'This is the relay itself: it runs no commands and forwards no ports. Use ssh <workspace>@… or ssh -J burrow@… <workspace>.',
} as const;
