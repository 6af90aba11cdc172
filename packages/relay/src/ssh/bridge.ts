import { globalRequest, sendMessage, streamOf, type SshConnection } from '@burrow/ssh';
import { SSH_LIMITS } from './limits.ts';

/**
 * Announces more host keys: those of the workload's server. Here the client
 * talks to the relay, and would remember them for it.
 */
const NOT_PASSED = 'hostkeys-00@openssh.com';

/**
 * Passes one message of the connection protocol on as it is. Channel numbers
 * and windows are the two ends' own, so flow control, order and every kind of
 * request that exists or will exist work end to end. What cannot be sent on is
 * bounded by those windows; a side that does not read at all stops the other.
 */
export function pass(payload: Buffer, from: SshConnection, to: SshConnection): boolean {
  if (payload[0] === 80 && globalRequest(payload)?.name === NOT_PASSED) return true;
  sendMessage(to, payload);
  const out = streamOf(to);
  if (out.writableLength > SSH_LIMITS.highWaterBytes) {
    const source = streamOf(from);
    if (!source.isPaused()) {
      source.pause();
      const resume = (): void => {
        out.off('drain', resume).off('close', resume);
        source.resume();
      };
      out.on('drain', resume).on('close', resume);
    }
  }
  return true;
}
