import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { RelayError } from '../errors.ts';
import type { DatabaseLogger, OpenDatabaseOptions } from './database.ts';

/** The database that the configuration names: PostgreSQL, else a file in the data folder. */
export function databaseOf(
  { database }: Pick<Config, 'database'>,
  dataDir: string,
  logger: DatabaseLogger,
): OpenDatabaseOptions {
  const url = database.urlFile === undefined ? database.url : read(database.urlFile);
  if (url === undefined) return { path: join(dataDir, 'relay.sqlite'), logger };
  return { url, maxConnections: database.maxConnections, logger };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new RelayError(
      'config-invalid',
      `cannot read database.urlFile: ${(error as Error).message}`,
      { cause: error },
    );
  }
}
