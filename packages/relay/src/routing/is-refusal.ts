import type { TunnelError } from '@burrow/tunnel';

/** How links name what Detached tells: an attachment that worked until then. */
const LOST = 'A link on the way was lost: ';

/**
 * Whether somebody behind the link said that the channel cannot go on there.
 * False: the way to them broke or is to be left, which says nothing about who has the agent.
 */
export function isRefusal({ remote, message }: TunnelError): boolean {
  return remote && !message.startsWith(LOST);
}
