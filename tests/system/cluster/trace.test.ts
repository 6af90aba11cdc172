// Support watches a channel that passes two relays, while the home relay is killed, and everything else that ends a trace.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import type { Channel, TraceEvent } from '@burrow/api';
import { ROOT } from '../../../scripts/lib/project-node.mjs';
import { startCluster, type Cluster, type SteeredLine } from '../../harness/cluster.ts';
import { eventually } from '../../harness/eventually.ts';
import { run } from '../../harness/run.ts';

const BURROW = join(ROOT, 'scripts/burrow.mjs');
const SECRET = 'the-payload-of-somebody';

const stack = new AsyncDisposableStack();
let cluster: Cluster;
let agentLine: SteeredLine;
/** Answers that the workload has begun, the latest last. */
const answers: ServerResponse[] = [];
const app = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain' }).flushHeaders();
  answers.push(response);
});

before(async () => {
  cluster = stack.use(await startCluster(['home', 'other', 'edge']));
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  stack.defer(() => {
    app.close();
    app.closeAllConnections();
  });
  agentLine = await cluster.line(cluster.relay('home'));
  await cluster.agent('demo', agentLine);
  await eventually('the agent is linked', async () => {
    const { relays } = await cluster.api('edge').cluster();
    return relays.some(({ id, stats }) => id === 'home' && stats?.agents === 1);
  });
});
after(() => stack.disposeAsync());

const env = (): Record<string, string> => ({
  BURROW_URL: `http://127.0.0.1:${cluster.relay('edge').port}`,
  BURROW_TOKEN: cluster.token,
  HOME: cluster.folder,
});

/** A response that goes on until the test ends it; with its channel. */
async function download(at = 'edge') {
  const asked = request({
    host: '127.0.0.1',
    port: cluster.relay(at).port,
    headers: {
      host: `${(app.address() as AddressInfo).port}-demo.localhost`,
      'burrow-authorization': `Bearer ${cluster.token}`,
    },
  });
  const before = new Set((await cluster.api(at).channels()).channels.map(({ id }) => id));
  const [incoming] = (await once(asked.end(), 'response')) as [IncomingMessage];
  let text = '';
  incoming.setEncoding('utf8').on('data', (part: string) => (text += part));
  incoming.on('error', () => {});
  const fresh = ({ id }: Channel): boolean => !before.has(id);
  const channel = await eventually('it is listed', async () =>
    (await cluster.api(at).channels({ workspace: 'demo' })).channels.find(fresh),
  );
  return {
    channel,
    answer: answers.at(-1)!,
    arrived: (length: number) => eventually(`${length} bytes arrive`, () => text.length === length),
  };
}

/** `burrow trace`, as it runs. */
function traced(args: readonly string[], url = env()['BURROW_URL']!) {
  const child = spawn(process.execPath, [BURROW, 'trace', ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env(), BURROW_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exited = once(child, 'close').then(([code]) => code as number | null);
  stack.defer(() => void child.kill('SIGKILL'));
  return {
    lines,
    exited,
    kill: (signal: NodeJS.Signals) => void child.kill(signal),
    get stderr() {
      return stderr;
    },
    /** Resolves with the number of lines up to one that fits. */
    async sees(what: string | RegExp, from = 0): Promise<number> {
      const fits = (line: string): boolean =>
        typeof what === 'string' ? wordsOf(line) === what : what.test(line);
      const found = (): number => lines.findIndex((line, i) => i >= from && fits(line)) + 1;
      try {
        return await eventually(String(what), () => found() > 0 && found());
      } catch (error) {
        throw new Error(`${String(error)}\n${lines.join('\n')}\n${stderr}`, { cause: error });
      }
    },
  };
}

/** `edge attached relay other 2`, `home sent agent Data` */
function wordsOf(line: string): string {
  const event = JSON.parse(line) as TraceEvent;
  const { relay } = event;
  switch (event.event) {
    case 'watching':
      return `${relay} has ${event.attachments.map((each) => each.with).join(' and ')}`;
    case 'attached':
      return `${relay} attached ${event.with} ${event.epoch}`;
    case 'frame':
      return `${relay} ${event.direction} ${event.with} ${event.frame}`;
    case 'over':
      return `${relay} over ${event.code}`;
    default:
      return `${relay} ${event.event}`;
  }
}

test('a channel through two relays is watched while the home relay dies', async () => {
  const { channel, answer, arrived } = await download();
  assert.deepEqual(
    [channel.workspace, channel.edge, channel.home, channel.kind, channel.attachments],
    ['demo', 'edge', 'home', 'http', 1],
  );
  const trace = traced([channel.id.slice(0, 8), '--json']);
  await trace.sees('edge has relay home');
  await trace.sees('home has agent and relay edge');
  answer.write(SECRET);
  await arrived(SECRET.length);
  for (const words of [
    'home received agent Data',
    'home sent relay edge Data',
    'edge received relay home Data',
  ]) {
    await trace.sees(words);
  }

  agentLine.to = cluster.relay('other');
  cluster.kill('home');
  answer.write(SECRET);
  await arrived(2 * SECRET.length);
  for (const words of [
    'edge detached',
    'home away',
    'edge attached relay other 2',
    'other attached relay edge 2',
    'other attached agent 2',
    'edge sent relay other Resume',
    'other sent agent Resume',
    'other received agent Resumed',
    'edge received relay other Resumed',
    'edge received relay other Data',
  ]) {
    await trace.sees(words);
  }
  const [listed] = (await cluster.api('other').channels()).channels;
  assert.deepEqual(
    [listed?.id, listed?.edge, listed?.home, listed?.attachments],
    [channel.id, 'edge', 'other', 2],
  );

  // It is kept for the next request, until the workload ends it.
  answer.end();
  answer.socket?.end();
  await trace.sees('edge over null');
  assert.equal(await trace.exited, 0, trace.stderr);
  assert.equal(trace.stderr, '');
  const all = trace.lines.join('\n');
  assert.ok(!all.includes(SECRET) && !all.includes(Buffer.from(SECRET).toString('base64')));
  const { events } = await cluster.api('other').auditEvents({ action: 'channel.traced' });
  assert.deepEqual(
    [events[0]?.channel, events[0]?.workspace, events[0]?.outcome],
    [channel.id, 'demo', 'ok'],
  );
  await cluster.start('home');
});

test('a person sees aligned lines, and ends it with Ctrl-C', async () => {
  const { channel, answer, arrived } = await download();
  const listed = await run(process.execPath, [BURROW, 'cluster', 'channels'], { env: env() });
  assert.match(listed.stdout, /^CHANNEL +WORKSPACE +USER +KIND +TARGET +EDGE +HOME +AGE/);
  assert.match(
    listed.stdout,
    new RegExp(`^${channel.id.slice(0, 8)} +demo +admin +http +tcp \\d+ +edge +other `, 'm'),
  );
  const trace = traced([channel.id]);
  await trace.sees(/^\d\d:\d\d:\d\d\.\d{3} {2}edge +relay other {2}here {2,}open, epoch \d, link /);
  answer.write(SECRET);
  await arrived(SECRET.length);
  await trace.sees(/ {2}other {2}← agent +Data {6}\d+ \+\d+$/);
  await trace.sees(/ {2}edge {3}← relay other {2}Data {6}\d+ \+\d+$/);
  const columns = trace.lines
    .map((line) => / (?:here|Data|Credit) /.exec(line)?.index)
    .filter((index) => index !== undefined);
  assert.equal(new Set(columns).size, 1, trace.lines.join('\n'));
  trace.kill('SIGINT');
  assert.equal(await trace.exited, 0);
  assert.deepEqual([trace.stderr, trace.lines.join('').includes('\u001b')], ['', false]);
  answer.end();
});

test('so many at once, and no more; whoever leaves makes room', async () => {
  const { channel, answer } = await download();
  // Through a relay that no other test watches by.
  const { port } = cluster.relay('other');
  const url = `http://127.0.0.1:${port}/api/v1/cluster/channels/${channel.id}/trace`;
  const headers = { authorization: `Bearer ${cluster.token}` };
  const leaves: AbortController[] = [];
  const open = async (): Promise<number> => {
    const leave = new AbortController();
    const { status, body } = await fetch(url, { headers, signal: leave.signal });
    if (status === 200) leaves.push(leave);
    else await body?.cancel();
    return status;
  };
  for (let i = 0; i < 8; i += 1) assert.equal(await open(), 200);
  assert.equal(await open(), 429);
  leaves[0]!.abort();
  await eventually('there is room again', async () => (await open()) === 200);
  for (const leave of leaves) leave.abort();
  answer.end();
});

test('a token that is revoked sees nothing more', { timeout: 30_000 }, async () => {
  const { channel, answer } = await download();
  const { user } = cluster.api('edge');
  const { id, token } = await user.createToken({ name: 'support' });
  const path = `/api/v1/cluster/channels/${channel.id}/trace`;
  const response = await fetch(`${env()['BURROW_URL']}${path}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  assert.match((await reader.read()).value ?? '', /"watching"/);
  await user.revokeToken(id);
  let text = '';
  for (let part; !(part = await reader.read()).done;) text += part.value;
  assert.match(text, /"event":"end".*"code":"access-lost"/);
  answer.end();
});

test('a relay that drains says so, and the command line asks the next one', async () => {
  const { channel, answer } = await download('other');
  const line = await cluster.line(cluster.relay('edge'));
  const trace = traced([channel.id, '--json'], `http://127.0.0.1:${line.port}`);
  await trace.sees('other has agent');
  line.to = cluster.relay('home');
  cluster.kill('edge', 'SIGTERM');
  const told = await trace.sees('edge end');
  await trace.sees('other has agent', told);
  assert.equal(trace.stderr, 'burrow: The relay “edge” shuts down. Asking again …\n');
  trace.kill('SIGTERM');
  assert.equal(await trace.exited, 0);
  answer.end();
});
