// Thousands of requests given up in the middle, at once: nothing of them stays.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { startBurrow } from '../harness/burrow.ts';
import { eventually } from '../harness/eventually.ts';

const CANCELS = 3000;
const AT_ONCE = 300;

const files = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

test(
  `${CANCELS} cancelled requests leave no channel, socket or timer`,
  { timeout: 120_000 },
  async (t) => {
    await using burrow = await startBurrow({ workspace: 'leaky' });
    const agent = await burrow.startAgent('leaky');
    let open = 0;
    const app = createServer((request, response) => {
      open += 1;
      response.once('close', () => (open -= 1));
      request.resume();
      // A third is never answered, a third endlessly, a third at once.
      if (request.url === '/never') return;
      response.write('x'.repeat(10_000));
      if (request.url === '/now') response.end();
    });
    app.listen(0, '127.0.0.1');
    await once(app, 'listening');
    t.after(() => app.close());
    const { port } = app.address() as AddressInfo;
    const { host } = new URL(burrow.appUrl('leaky', port));
    const paths = ['/never', '/endless', '/now'];

    /** Cut at one of three moments: with the request on its way, at the first byte back, while uploading. */
    const cancel = (index: number): Promise<void> =>
      new Promise((resolve) => {
        const socket = connect(burrow.port, '127.0.0.1', () => {
          const path = paths[index % 3] ?? '';
          const method = index % 2 === 0 ? 'GET' : 'POST';
          const length = method === 'POST' ? 'Content-Length: 100000\r\n' : '';
          socket.write(
            `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nBurrow-Authorization: Bearer ${burrow.token}\r\n${length}\r\n`,
          );
          if (method === 'POST') socket.write('y'.repeat(5_000));
          if (index % 5 === 0) setImmediate(() => socket.resetAndDestroy());
          else if (path === '/never') setTimeout(() => socket.destroy(), 20);
          else socket.once('data', () => socket.destroy());
        });
        socket.on('error', () => {});
        socket.once('close', () => resolve());
      });

    const round = async (count: number): Promise<void> => {
      for (let at = 0; at < count; at += AT_ONCE)
        await Promise.all(
          Array.from({ length: Math.min(AT_ONCE, count - at) }, (_, i) => cancel(at + i)),
        );
    };
    const settled = () =>
      eventually('everything is let go', async () => {
        if (open !== 0) return false;
        const { text } = await burrow.send('/metrics');
        const channels = /^burrow_channels(?:\{[^}]*\})? (\d+)$/m.exec(text)?.[1];
        assert.ok(channels, 'the relay counts its channels');
        return Number(channels) <= 8;
      });

    // Once to warm pools and code; then what is measured.
    await round(AT_ONCE);
    await settled();
    const timers = () =>
      process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
    const before = { relay: files(process.pid), agent: files(agent.pid), timers: timers() };
    await round(CANCELS);
    await settled();
    // Pooled upstream connections may stay a little; what grows with the number of cancels may not.
    const slack = 16;
    await eventually(
      'sockets and timers are back to where they were',
      () => {
        return (
          files(process.pid) <= before.relay + slack &&
          files(agent.pid) <= before.agent + slack &&
          timers() <= before.timers + slack
        );
      },
      20_000,
    ).catch((error: unknown) => {
      const now = { relay: files(process.pid), agent: files(agent.pid), timers: timers() };
      throw new Error(`before ${JSON.stringify(before)}, after ${JSON.stringify(now)}`, {
        cause: error,
      });
    });
    assert.equal((await burrow.send(burrow.appUrl('leaky', port) + '/now')).status, 200);
  },
);
