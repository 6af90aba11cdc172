/** Calls between two threads: methods that take and give plain values. */
import type { MessagePort } from 'node:worker_threads';
import { RelayError } from '../errors.ts';

type Message =
  | { readonly call: number; readonly method: string; readonly args: readonly unknown[] }
  | { readonly answer: number; readonly value: unknown }
  | { readonly answer: number; readonly error: string };

// oxlint-disable-next-line typescript/no-explicit-any -- any method of any interface
type Methods = { [name: string]: (...args: any[]) => Promise<unknown> };

/**
 * Serves `own` to the other thread, and returns the other thread's methods.
 * A call rejects with RelayError `internal` when the other side threw or is gone.
 */
export function connectThreads<Other extends object>(port: MessagePort, own: object): Other {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let calls = 0;
  let closed = false;

  port.on('message', (message: Message) => {
    if ('call' in message) return void serve(message.call, message.method, message.args);
    const asked = waiting.get(message.answer);
    waiting.delete(message.answer);
    if ('error' in message) asked?.reject(new RelayError('internal', message.error));
    else asked?.resolve(message.value);
  });
  port.on('close', () => {
    closed = true;
    for (const asked of waiting.values()) asked.reject(gone());
    waiting.clear();
  });

  async function serve(call: number, method: string, args: readonly unknown[]): Promise<void> {
    try {
      const run = (own as Methods)[method];
      if (run === undefined) throw new Error(`There is no ${method}.`);
      const value = await run.apply(own, [...args]);
      if (!closed) port.postMessage({ answer: call, value });
    } catch (error) {
      if (!closed) port.postMessage({ answer: call, error: (error as Error).message });
    }
  }

  const gone = (): RelayError => new RelayError('internal', 'The other thread has ended.');

  return new Proxy({} as Other, {
    get:
      (_none, method) =>
      (...args: unknown[]) => {
        if (closed) return Promise.reject(gone());
        const call = (calls += 1);
        const asked = Promise.withResolvers<unknown>();
        waiting.set(call, asked);
        port.postMessage({ call, method: String(method), args });
        return asked.promise;
      },
  });
}
