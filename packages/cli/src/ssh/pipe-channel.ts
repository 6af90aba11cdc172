import type { Readable, Writable } from 'node:stream';
import type { Link, OpenOptions, TunnelError } from '@burrow/tunnel';

/** How the bytes came to their end. */
export type PipeEnd =
  | { readonly kind: 'in-order' }
  | { readonly kind: 'failed'; readonly error: TunnelError }
  /** Nobody reads the output any more. */
  | { readonly kind: 'reader-gone' };

/**
 * Opens a channel and passes bytes both ways, each side ending by itself, with
 * back-pressure. Resolves once the last byte that came has been written out.
 */
export function pipeChannel(
  link: Link,
  options: OpenOptions,
  { input, output }: { input: Readable; output: Writable },
): Promise<PipeEnd> {
  return new Promise((resolve) => {
    let unwritten = 0;
    let end: PipeEnd | undefined;
    const settle = (): void => {
      if (end === undefined || (unwritten > 0 && end.kind !== 'reader-gone')) return;
      input.destroy();
      resolve(end);
    };
    const channel = link.open(options, {
      onData(chunk) {
        unwritten += 1;
        output.write(chunk, () => {
          unwritten -= 1;
          channel.consumed(chunk.length);
          settle();
        });
      },
      onEnd: () => void output.end(),
      onWritable: () => void input.resume(),
      onClose(error) {
        end ??= error === undefined ? { kind: 'in-order' } : { kind: 'failed', error };
        settle();
      },
    });
    input.on('data', (chunk: Buffer) => {
      if (!channel.write(chunk) && !channel.closed) input.pause();
    });
    input.on('end', () => channel.end());
    input.on('error', () => channel.end());
    output.on('error', () => {
      end ??= { kind: 'reader-gone' };
      channel.reset('cancelled', 'The client is gone.');
      settle();
    });
  });
}
