import { spawn } from 'node:child_process';
import { fingerprintOf, generateHostKey, SERVER_ALGORITHMS, tune } from '@burrow/ssh';
import { TunnelError, type Channel } from '@burrow/tunnel';
import { dialGrpc } from '@burrow/tunnel/grpc';
import { channelToDuplex } from '@burrow/tunnel/node';
import { TEST_HELLO } from '@burrow/tunnel/testing';
import ssh2 from 'ssh2';

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
  const server = new ssh2.Server(
    { hostKeys: [hostKey], algorithms: SERVER_ALGORITHMS },
    (connection) => {
      tune(connection);
      connection.on('error', () => {});
      connection.on('authentication', (context) => {
        if (context.method !== 'publickey') return context.reject(['publickey']);
        const admitted = target.authorizedKeys.includes(fingerprintOf(context.key.data));
        return admitted ? context.accept() : context.reject(['publickey']);
      });
      connection.on('session', (accept) => {
        accept().on('exec', (acceptExec, _reject, { command }) => {
          const stream = acceptExec();
          const child = spawn('sh', ['-c', command], { stdio: 'pipe' });
          stream.pipe(child.stdin).on('error', () => {});
          child.stdout.pipe(stream, { end: false });
          child.stderr.pipe(stream.stderr, { end: false });
          stream.on('close', () => child.kill('SIGKILL'));
          child.on('close', (code, signal) => {
            if (signal === null) stream.exit(code ?? 0);
            else stream.exit(signal.slice(3));
            stream.end();
          });
        });
      });
    },
  );
  server.injectSocket(channelToDuplex(channel) as never);
  channel.accept();
}
