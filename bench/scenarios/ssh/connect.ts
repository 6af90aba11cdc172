import { bothWays } from './both-ways.ts';
import { ssh } from './bulk.ts';

/** `ssh host true`, one after the other: ms each, the client's own start and end included. */
export const connect = bothWays('connect', 'ms', async (stand, way) => {
  const { connections } = stand.sshLoad;
  const start = performance.now();
  for (let i = 0; i < connections; i += 1) await ssh(way, 'true');
  return (performance.now() - start) / connections;
});
