import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres, type PostgresServer } from '../../scripts/lib/postgres-server.ts';

/** A real PostgreSQL in a folder of its own, both gone at the end. Fast rather than durable. */
export async function postgresForTests(
  settings: Readonly<Record<string, string | number>> = {},
): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-postgres-'));
  // PostgreSQL runs as another user, who must pass through.
  chmodSync(folder, 0o711);
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const server = await startPostgres({
      folder: join(folder, 'server'),
      durable: false,
      settings,
    });
    return {
      url: (database) => server.url(database),
      port: server.port,
      get pid() {
        return server.pid;
      },
      get ended() {
        return server.ended;
      },
      start: () => server.start(),
      stop: () => server.stop(),
      kill: (signal) => server.kill(signal),
      async [Symbol.asyncDispose]() {
        await server.stop();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
