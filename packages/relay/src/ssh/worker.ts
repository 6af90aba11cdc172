/** Entry of the gateway's thread: SSH cryptography stays off the relay's event loop. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { TunnelError } from '@burrow/tunnel';
import { dialPort } from '@burrow/tunnel/message-port';
import { randomBytes } from 'node:crypto';
import type { SshAuthority } from './authority.ts';
import { connectThreads } from './calls.ts';
import { createFront, type FrontOptions } from './front.ts';

export interface WorkerData {
  readonly options: FrontOptions;
  /** Calls, both ways. */
  readonly calls: MessagePort;
  /** A tunnel link to the relay's clients room. */
  readonly link: MessagePort;
}

let stopping = false;

function fail(error: Error): never {
  throw error;
}

const LINK_WITHIN_MS = 10_000;

const { options, calls, link: port } = workerData as WorkerData;
const { link } = await dialPort(port, {
  hello: {
    instanceId: randomBytes(16).toString('hex'),
    software: options.software,
    listeningPorts: [],
    sshHostKey: '',
    sshServer: 'none',
    sshUser: '',
    label: 'ssh gateway',
  },
  handler: {
    onChannel: (channel) => channel.reset('not-allowed', 'The gateway accepts no channels.'),
    onClose: (error) => {
      // Without it the gateway is of no use: let the relay start it again.
      if (!stopping) setImmediate(() => fail(error));
    },
  },
  signal: AbortSignal.timeout(LINK_WITHIN_MS),
});
const thread = {/** Replaced below: it needs the other side's methods. */};
const authority = connectThreads<SshAuthority>(calls, thread);
const front = createFront(options, { authority, link });
Object.assign(thread, front, {
  async stop(sentence: string): Promise<void> {
    stopping = true;
    await front.stop(sentence);
    link.close(new TunnelError('draining', sentence));
  },
});
parentPort?.postMessage('ready');
