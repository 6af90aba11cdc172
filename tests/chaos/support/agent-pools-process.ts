/**
 * Idle agents, many in one process, by the agent's own pool of links. Reads
 * `{url, tokens, ca}` as one JSON line, and `{url}` for each change of the address to dial; prints `links N` whenever
 * the number of live links changed, at most every 50 ms, and `dials URL` from when on it dials there.
 */
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { dialGrpc } from '@burrow/tunnel/grpc';
import { systemClock } from '../../../packages/agent/src/links/clock.ts';
import { LinkPool } from '../../../packages/agent/src/links/pool.ts';

interface Order {
  readonly url: string;
  readonly tokens: readonly string[];
  readonly ca?: string;
}

const DIAL_MS = 10_000;
/** Dials at once: a whole fleet in one process would only measure this process. */
const AT_ONCE = 64;
const log = { info() {}, warn() {}, error() {}, debug() {} };
const pools: LinkPool[] = [];

let dialling = 0;
const waiting: (() => void)[] = [];
async function turn<T>(dial: () => Promise<T>): Promise<T> {
  if (dialling >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  dialling += 1;
  try {
    return await dial();
  } finally {
    dialling -= 1;
    waiting.shift()?.();
  }
}

let url = '';

function start({ tokens, ca }: Order): void {
  for (const token of tokens) {
    const instanceId = randomBytes(16).toString('hex');
    const pool = new LinkPool({
      log,
      clock: systemClock,
      random: Math.random,
      minLinks: 1,
      maxLinks: 1,
      onChannel: (channel) => channel.reset('unsupported', 'This agent is only held.'),
      onFatal: (error) => console.error(error.message),
      dial: (handler, signal) =>
        turn(async () => ({
          ...(await dialGrpc({
            url: new URL(url),
            token,
            ...(ca === undefined ? {} : { ca }),
            hello: {
              instanceId,
              software: 'scale',
              listeningPorts: [],
              sshHostKey: '',
              sshServer: 'none',
              sshUser: '',
              label: '',
            },
            handler,
            signal: AbortSignal.any([signal, AbortSignal.timeout(DIAL_MS)]),
          })),
          transport: 'grpc' as const,
        })),
    });
    pools.push(pool);
    pool.start();
  }
}

let said = -1;
setInterval(() => {
  let links = 0;
  for (const pool of pools) links += pool.live.length;
  if (links !== said) console.log(`links ${links}`);
  said = links;
}, 50);

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  const order = JSON.parse(line) as Pick<Order, 'url'> & Partial<Order>;
  ({ url } = order);
  console.log(`dials ${url}`);
  if (order.tokens !== undefined) start(order as Order);
});
input.once('close', () => process.exit(0));
