import { EchoClient } from '../lib/websocket.ts';
import type { Scenario } from '../scenario.ts';

/** WebSockets at once, each with one small message under way. */
const CONNECTIONS = 16;

export const wsEcho: Scenario = {
  results: { 'ws-echo': 'round trips/s' },
  warmUp: true,
  systems: ['burrow', 'direct', 'nginx', 'caddy', 'ssh-r'],
  run: async (stand, name) => {
    const endpoint = (await stand.system(name)).endpoint('echo');
    const clients = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => EchoClient.open(endpoint)),
    );
    let roundTrips = 0;
    const start = performance.now();
    const until = start + stand.seconds * 1000;
    await Promise.all(
      clients.map(async (client) => {
        while (performance.now() < until) {
          await client.echo();
          roundTrips += 1;
        }
        client.close();
      }),
    );
    return { 'ws-echo': roundTrips / ((performance.now() - start) / 1000) };
  },
};
