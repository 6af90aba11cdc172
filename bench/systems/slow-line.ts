import { join } from 'node:path';
import { Child } from '../lib/child.ts';

/** A slow line to `targetPort`, in a process of its own so that a busy benchmark does not delay it. */
export async function startSlowLine(
  targetPort: number,
): Promise<{ readonly port: number } & AsyncDisposable> {
  const line = new Child(process.execPath, [
    join(import.meta.dirname, '../slow-line-process.ts'),
    String(targetPort),
  ]);
  await line.until(() => /^\d+\n/.test(line.said));
  return { port: Number.parseInt(line.said, 10), [Symbol.asyncDispose]: () => line.stop() };
}
