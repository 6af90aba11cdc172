/** Links of a relay in this process, with what is at their other ends. */
import type { TestContext } from 'node:test';
import { joinChannel, TunnelError, type Link } from '@burrow/tunnel';
import { linkPair, Recorder } from '@burrow/tunnel/testing';
import type { Place, Places } from './places.ts';

export interface TestPlaces extends Places {
  readonly table: Map<Link, Place>;
  /** What agents were asked for, in order. */
  readonly atAgent: Recorder[];
  /** The relay's end of a link from an agent that takes every channel. */
  agent(agentId: string): Promise<Link>;
  /** The client's end of a link whose channels are joined with `onward`. */
  client(onward: Link, agentId: string): Promise<Link>;
}

export function testPlaces(t: TestContext): TestPlaces {
  const table = new Map<Link, Place>();
  const atAgent: Recorder[] = [];
  t.after(() => {
    for (const link of table.keys()) link.close(new TunnelError('cancelled', 'The test is over.'));
  });
  return {
    table,
    atAgent,
    links: () => table.entries(),
    detached: () => [],
    async agent(agentId) {
      const { acceptor } = await linkPair({
        dialler: {
          onChannel(channel) {
            const recorder = new Recorder();
            recorder.channel = channel;
            channel.setHandler(recorder);
            atAgent.push(recorder);
            channel.accept();
          },
          onClose() {},
        },
      });
      table.set(acceptor, { kind: 'agent', agentId });
      return acceptor;
    },
    async client(onward, agentId) {
      const { acceptor, dialler } = await linkPair({
        acceptor: {
          onChannel: (channel) => void joinChannel(channel, onward, { workload: agentId }),
          onClose() {},
        },
      });
      table.set(acceptor, { kind: 'client' });
      return dialler;
    },
  };
}
