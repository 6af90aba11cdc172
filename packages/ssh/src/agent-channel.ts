import type { Connection, ServerChannel } from 'ssh2';

/** As ssh2 has them for channels that it opens itself. */
const WINDOW_BYTES = 2 * 1024 * 1024;
const PACKET_BYTES = 32 * 1024;

type Opened = (error: Error | undefined, channel: ServerChannel) => void;

interface Private {
  readonly _chanMgr: { add(opened: Opened & { type?: string }): number };
  readonly _protocol: {
    openssh_authAgent(channel: number, windowBytes: number, packetBytes: number): void;
  };
}

/**
 * Opens a channel to the client's SSH agent (`auth-agent@openssh.com`,
 * OpenSSH's PROTOCOL.agent). ssh2's servers can, but have no public method for it.
 */
export function openAgentChannel(connection: Connection, opened: Opened): void {
  const { _chanMgr: channels, _protocol: protocol } = connection as unknown as Private;
  const number = channels.add(Object.assign(opened, { type: 'auth-agent@openssh.com' }));
  if (number === -1) throw new Error('No free channels are left on this connection.');
  protocol.openssh_authAgent(number, WINDOW_BYTES, PACKET_BYTES);
}
