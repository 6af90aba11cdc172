import { availableParallelism, hostname } from 'node:os';
import type { Config } from '../config/schema.ts';
import { RelayError } from '../errors.ts';

/** Which process of several this is, from 1; set by `runProcesses` for its children. */
export const PROCESS_NUMBER = 'BURROW_PROCESS';

export function processCount({ processes }: Pick<Config, 'processes'>): number {
  return processes === 'auto' ? availableParallelism() : processes;
}

/** Throws RelayError `config-invalid` when several processes cannot do with this configuration. */
export function checkForProcesses(config: Config): void {
  const problems = [
    (config.cluster.redisUrl ?? config.cluster.redisUrlFile) === undefined &&
      'cluster.redisUrl (they are members of a cluster)',
    (config.database.url ?? config.database.urlFile) === undefined &&
      'database.url (they share one PostgreSQL)',
    config.listen.port === 0 && 'a fixed listen.port',
    config.ssh.enabled && config.ssh.port === 0 && 'a fixed ssh.port',
    config.cluster.peer.url !== undefined &&
      config.cluster.peer.port === 0 &&
      'a fixed cluster.peer.port beside cluster.peer.url',
  ].filter((problem) => problem !== false);
  if (problems.length === 0) return;
  throw new RelayError('config-invalid', `more than one process needs ${problems.join(', and ')}`);
}

/**
 * What one of several processes runs with: the same ports, taken together with the others; an id of
 * its own; and a peer port of its own, counted up from the configured one.
 */
export function configOfProcess(config: Config, number: number): Config {
  const { cluster } = config;
  const id = cluster.relayId ?? `${hostname()}:${config.listen.port}`;
  const shift = number - 1;
  const { port, url } = cluster.peer;
  const own = url === undefined ? undefined : new URL(url);
  if (own !== undefined) own.port = String(Number(own.port || port) + shift);
  return {
    ...config,
    processes: 1,
    listen: { ...config.listen, reusePort: true },
    cluster: {
      ...cluster,
      relayId: `${id}.${number}`,
      peer: {
        ...cluster.peer,
        port: port === 0 ? 0 : port + shift,
        ...(own === undefined ? {} : { url: own.origin }),
      },
    },
  };
}
