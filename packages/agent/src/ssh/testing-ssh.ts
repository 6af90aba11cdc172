/** The built-in server behind a real link, reached by OpenSSH's client over a port of loopback. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateHostKey } from '@burrow/ssh';
import { run, type Ran, type RunOptions } from '@burrow/ssh/testing';
import { TunnelError } from '@burrow/tunnel';
import { channelToDuplex } from '@burrow/tunnel/node';
import { linkPair } from '@burrow/tunnel/testing';
import { SshServer, type SshServerOptions } from './server.ts';
import { serveSftp } from './sftp/index.ts';

export interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  readonly identity: string;
  /** Channels that are still open. */
  readonly open: number;
  readonly events: { event: string; fields: object }[];
  /** Options of OpenSSH's programs, without a host. */
  readonly options: readonly string[];
  ssh(args: readonly string[], options?: RunOptions): Promise<Ran>;
}

export async function startServer(over: Partial<SshServerOptions> = {}): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-agent-ssh-'));
  // What the developer's own shell does at its start is not what is tested, and may take long.
  process.env['HOME'] = folder;
  const hostKey = generateHostKey();
  const key = generateHostKey();
  const identity = join(folder, 'id');
  writeFileSync(identity, key.privateKey, { mode: 0o600 });
  const events: TestServer['events'] = [];
  let open = 0;
  const server = new SshServer({
    hostKey,
    software: 'Burrow_test',
    directory: folder,
    policy: { mayReach: (port) => port > 1023, mayReachPath: () => true, anywhere: false },
    workload: () => 'demo',
    serveSftp,
    log: (_level, event, fields) => events.push({ event, fields }),
    ...over,
  });
  const pair = await linkPair({
    dialler: {
      onChannel: (channel) => {
        open += 1;
        server.serve(channel, () => (open -= 1));
      },
      onClose() {},
    },
  });
  const front = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const channel = pair.acceptor.open(
      {
        target: { kind: 'ssh', authorizedKeys: [key.fingerprint] },
        principal: { userId: '1', username: 'ann' },
      },
      { onData() {}, onEnd() {}, onClose() {} },
    );
    const duplex = channelToDuplex(channel);
    socket.pipe(duplex).pipe(socket);
    socket.on('error', () => duplex.destroy()).on('close', () => duplex.destroy());
    duplex.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  const { port } = front.address() as AddressInfo;
  const knownHosts = join(folder, 'known_hosts');
  writeFileSync(
    knownHosts,
    `[127.0.0.1]:${port} ${hostKey.publicLine}\ndemo ${hostKey.publicLine}\n`,
  );
  const options = [
    ...['-F', 'none', '-i', identity, '-o', `UserKnownHostsFile=${knownHosts}`],
    ...['-o', 'StrictHostKeyChecking=yes', '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'],
  ];
  return {
    port,
    folder,
    identity,
    get open() {
      return open;
    },
    events,
    options,
    ssh: (args, runOptions) =>
      run('ssh', [...options, '-p', String(port), 'ann@127.0.0.1', ...args], runOptions),
    async [Symbol.asyncDispose]() {
      server.stop();
      front.close();
      pair.acceptor.close(new TunnelError('cancelled', 'The test is over.'));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
