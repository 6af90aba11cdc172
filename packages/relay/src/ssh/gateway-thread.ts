import { once } from 'node:events';
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import type { SshAuthority, SshGatewayThread } from './authority.ts';
import { connectThreads } from './calls.ts';
import type { FrontOptions } from './front.ts';
import type { WorkerData } from './worker.ts';

/** A gateway's thread that listens. */
export interface RunningThread {
  readonly port: number;
  readonly calls: SshGatewayThread;
  /** Settles when the thread has ended, with what it failed from. */
  readonly ended: Promise<Error | undefined>;
  terminate(): Promise<void>;
}

/** Starts a thread, joins it with this one, and lets it listen. Rejects when it fails before. */
export async function startThread(
  options: FrontOptions,
  authority: SshAuthority,
  admitLink: (port: MessagePort) => void,
): Promise<RunningThread> {
  const calls = new MessageChannel();
  const link = new MessageChannel();
  const worker = new Worker(new URL('worker.ts', import.meta.url), {
    workerData: { options, calls: calls.port2, link: link.port2 } satisfies WorkerData,
    transferList: [calls.port2, link.port2],
  });
  let failure: Error | undefined;
  worker.on('error', (error: Error) => (failure = error));
  const ended = new Promise<Error | undefined>((resolve) =>
    worker.once('exit', () => {
      calls.port1.close();
      resolve(failure);
    }),
  );
  const early = ended.then((error) => {
    throw error ?? new Error('The SSH gateway’s thread ended at once.');
  });
  early.catch(() => {});
  admitLink(link.port1);
  const thread = connectThreads<SshGatewayThread>(calls.port1, authority);
  try {
    await Promise.race([once(worker, 'message'), early]);
    const port = await Promise.race([thread.listen(), early]);
    return { port, calls: thread, ended, terminate: async () => void (await worker.terminate()) };
  } catch (error) {
    await worker.terminate();
    throw error;
  }
}
