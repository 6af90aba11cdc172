/**
 * Holds idle agent links, made by the project's own link code, in a process of
 * its own. Reads `{url, links, tokens}` as one JSON line from stdin: `links` per
 * token. Prints `ready` when all are up; ends, closing them, with stdin.
 */
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { TunnelError, type Link } from '@burrow/tunnel';
import { dialGrpc } from '@burrow/tunnel/grpc';

interface Order {
  readonly url: string;
  readonly links: number;
  readonly tokens: readonly string[];
}

const held: Link[] = [];

async function hold(order: Order): Promise<void> {
  for (const token of order.tokens) {
    const instanceId = randomBytes(16).toString('hex');
    const dialled = await Promise.all(
      Array.from({ length: order.links }, () =>
        dialGrpc({
          url: new URL(order.url),
          token,
          hello: {
            instanceId,
            software: 'bench',
            listeningPorts: [],
            sshHostKey: '',
            sshServer: 'none',
            sshUser: '',
            label: 'bench',
          },
          handler: {
            onChannel: (channel) => channel.reset('unsupported', 'this link is only held'),
            onClose: () => {},
          },
          signal: AbortSignal.timeout(10_000),
        }),
      ),
    );
    held.push(...dialled.map(({ link }) => link));
  }
}

const input = createInterface({ input: process.stdin });
input.once('line', (line) => {
  hold(JSON.parse(line) as Order).then(
    () => console.log('ready'),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
input.once('close', () => {
  for (const link of held) link.close(new TunnelError('cancelled', 'The benchmark is done.'));
  setTimeout(() => process.exit(0), 200);
});
