import { portOwner } from './listening-sockets.ts';

/** Why something did not start, with who holds the port when it is that. `command` as it was typed. */
export function explainStart(error: unknown, port: number, command: string): string {
  const message = error instanceof Error ? error.message : String(error);
  const cause =
    error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  const code = (error as NodeJS.ErrnoException).code ?? cause?.code;
  if (code !== 'EADDRINUSE' && cause?.code !== 'EADDRINUSE') return message;
  const owner = portOwner(port) ?? 'another process';
  return `Port ${port} is taken by ${owner}. End it, or choose another port: ${command} -- --port ${port + 1}`;
}
