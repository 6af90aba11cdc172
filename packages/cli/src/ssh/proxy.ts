import { readFileSync } from 'node:fs';
import { tuneCollector } from '@burrow/tunnel/node';
import { TunnelError, type Channel, type Target } from '@burrow/tunnel';
import { CliError, EXIT } from '../cli-error.ts';
import { exitOf } from '../relay/exit-of.ts';
import { openLink, transportChoice } from '../relay/link.ts';
import { SteadyLink } from '../relay/steady-link.ts';
import { readSettings } from '../settings/settings.ts';
import { fingerprintOfLine, isFingerprint, ownFingerprints } from './fingerprints.ts';
import { workspaceOf } from './host-name.ts';
import { pipeChannel } from './pipe-channel.ts';
import { standardStreams } from './standard-streams.ts';

/** Keys that one connection may name: the relay's cap. */
const MAX_KEYS = 8;
/** Last bytes of the link on their way out. ms */
const LEAVE_MS = 2_000;

/** Resolves when both directions have ended. Rejects with CliError. */
export async function sshProxy(
  host: string,
  keys: readonly string[] | undefined,
  tcpPort: string | undefined,
): Promise<void> {
  const workload = workspaceOf(host);
  const target = targetOf(keys, tcpPort);
  const settings = readSettings();
  tuneCollector();
  // Stopped by Ctrl-Z with the rest of a pipeline, the link would fall silent and be lost.
  process.on('SIGTSTP', () => {});
  const transport = transportChoice();
  const handler = {
    onChannel: (channel: Channel) =>
      channel.reset('not-allowed', 'The client opens channels, not the relay.'),
    // The channel hears of it too.
    onClose: () => {},
  };
  const steady = await SteadyLink.open((signal) => openLink(settings, handler, transport, signal));
  const end = await pipeChannel(
    steady.link,
    // The relay says on whose behalf: by the token.
    { target, workload, principal: { userId: '', username: '' }, resumer: steady.resumer },
    standardStreams(),
  );
  steady.close(new TunnelError('cancelled', 'The client has finished.'));
  setTimeout(() => process.exit(), LEAVE_MS).unref();
  if (end.kind !== 'failed') return;
  const { error } = end;
  throw new CliError(explain(error, workload), exitOf(error), { cause: error });
}

function targetOf(keys: readonly string[] | undefined, tcpPort: string | undefined): Target {
  if (tcpPort !== undefined) {
    const port = Number(tcpPort);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new CliError('--tcp-port takes a number from 1 to 65535.', EXIT.usage);
    }
    return { kind: 'tcp', port };
  }
  const named = keys === undefined ? ownFingerprints() : keys.map(fingerprint);
  return { kind: 'ssh', authorizedKeys: [...new Set(named)].slice(0, MAX_KEYS) };
}

function fingerprint(key: string): string {
  if (isFingerprint(key)) return key;
  let line = '';
  try {
    line = readFileSync(key, 'utf8');
  } catch (error) {
    throw new CliError(`Cannot read the key ${key}: ${(error as Error).message}`, EXIT.usage);
  }
  const found = fingerprintOfLine(line);
  if (found !== undefined) return found;
  throw new CliError(`${key} holds no public key: name the .pub file.`, EXIT.usage);
}

function explain(error: TunnelError, workspace: string): string {
  if (error.code === 'link-lost' || error.code === 'link-silent') {
    return `The connection to the relay was lost: ${error.message}`;
  }
  if (error.code === 'unsupported') {
    return `The workspace “${workspace}” has no SSH server: ${error.message}`;
  }
  return error.message;
}
