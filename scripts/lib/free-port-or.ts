import { once } from 'node:events';
import { createServer } from 'node:net';

/** The wanted port of loopback when nobody has it, else 0: any free one. */
export async function freePortOr(wanted: number): Promise<number> {
  const probe = createServer();
  try {
    probe.listen(wanted, '127.0.0.1');
    await once(probe, 'listening');
    return wanted;
  } catch {
    return 0;
  } finally {
    probe.close();
  }
}
