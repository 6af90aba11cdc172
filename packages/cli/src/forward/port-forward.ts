import { tuneCollector } from '@burrow/tunnel/node';
import { TunnelError, type LinkHandler } from '@burrow/tunnel';
import { CliError, EXIT } from '../cli-error.ts';
import { print, tell } from '../output.ts';
import { plainText } from '../plain-text.ts';
import { apiOf, explained } from '../relay/api.ts';
import { exitOf } from '../relay/exit-of.ts';
import { openLink, transportChoice } from '../relay/link.ts';
import { SteadyLink } from '../relay/steady-link.ts';
import { readSettings } from '../settings/settings.ts';
import { workspaceOf } from '../ssh/host-name.ts';
import { Forwarder } from './forwarder.ts';
import { listenAll, type Listening } from './listen.ts';
import { hostPort, isLoopback, parseAddress, parseMapping } from './mapping.ts';

export interface PortForwardOptions {
  readonly address?: string;
  readonly json?: boolean;
}

/** Last bytes of the link on their way out. ms */
const LEAVE_MS = 1_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Forwards until a signal comes. Rejects with CliError. */
export async function portForward(
  host: string,
  ports: readonly string[],
  options: PortForwardOptions,
): Promise<void> {
  const workspace = workspaceOf(host);
  const mappings = ports.map(parseMapping);
  const address = parseAddress(options.address ?? '127.0.0.1');
  const settings = readSettings();
  const transport = transportChoice();
  tuneCollector();
  // Before anything listens: a name that is wrong is said now, and not at the first connection.
  await explained(apiOf(settings).workspaces.show(workspace));

  const over = Promise.withResolvers<void>();
  over.promise.catch(() => {});
  const fatal = (error: CliError): void => over.reject(error);
  const handler: LinkHandler = {
    onChannel: (channel) =>
      channel.reset('not-allowed', 'The client opens channels, not the relay.'),
    onClose: (error) => {
      // All else is dialled again when there is something to carry.
      if (exitOf(error) === EXIT.notSignedIn) {
        fatal(new CliError(error.message, EXIT.notSignedIn, { cause: error }));
      }
    },
  };
  const steady = await SteadyLink.open((signal) => openLink(settings, handler, transport, signal));
  const forwarder = new Forwarder({
    links: steady,
    workspace,
    onFailed: ({ remote }, message) => tell(plainText(`burrow: port ${remote}: ${message}`)),
    onFatal: fatal,
  });
  let listening: Listening[] = [];
  const stop = (): void => over.resolve();
  try {
    listening = await listenAll(address, mappings, (socket, mapping) =>
      forwarder.take(socket, mapping),
    );
    // A second one ends it as it ends any program.
    for (const signal of SIGNALS) process.once(signal, stop);
    for (const each of listening) announce(each, workspace, options.json === true);
    if (!isLoopback(address)) warn(address);
    await over.promise;
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
    for (const { server } of listening) server.close();
    forwarder.stop();
    steady.close(new TunnelError('cancelled', 'The client has finished.'));
    setTimeout(() => process.exit(), LEAVE_MS).unref();
  }
}

function announce({ address, port, mapping }: Listening, workspace: string, json: boolean): void {
  const { remote } = mapping;
  if (json) print(JSON.stringify({ workspace, address, localPort: port, remotePort: remote }));
  else print(`Forwarding ${hostPort(address, port)} → ${workspace}:${remote}`);
}

function warn(address: string): void {
  tell(
    `burrow: ${address} is not of this machine alone: whoever reaches it gets into the workspace as you, without signing in.`,
  );
}
