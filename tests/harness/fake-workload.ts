import { generateHostKey } from '@burrow/ssh';
import { serveCommands } from '@burrow/ssh/testing';
import { TunnelError, type Channel } from '@burrow/tunnel';
import { dialGrpc } from '@burrow/tunnel/grpc';
import { channelToDuplex } from '@burrow/tunnel/node';
import { TEST_HELLO } from '@burrow/tunnel/testing';

/** An agent in this process that shows what channels ask of it, and runs commands over SSH. */
export interface FakeWorkload extends AsyncDisposable {
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  /** Channels that were opened, in order. */
  readonly channels: Channel[];
}

/** Resolves once the agent's link is there. */
export async function startFakeWorkload(url: string, token: string): Promise<FakeWorkload> {
  const key = generateHostKey();
  const channels: Channel[] = [];
  const { link } = await dialGrpc({
    url: new URL(url),
    token,
    hello: { ...TEST_HELLO, sshServer: 'built-in', sshHostKey: key.publicLine },
    handler: {
      onChannel(channel) {
        channels.push(channel);
        serve(channel, key.privateKey);
      },
      onClose() {},
    },
    signal: AbortSignal.timeout(10_000),
  });
  return {
    hostKey: key.publicLine,
    channels,
    async [Symbol.asyncDispose]() {
      link.close(new TunnelError('cancelled', 'The test is over.'));
    },
  };
}

/** Admits the keys that the channel names, and no others. */
function serve(channel: Channel, hostKey: string): void {
  const { target } = channel;
  if (target.kind !== 'ssh') return channel.reset('unsupported', 'Only ssh here.');
  serveCommands(channelToDuplex(channel), { hostKey, admits: target.authorizedKeys });
  channel.accept();
}
