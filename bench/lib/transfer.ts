import { run } from './child.ts';
import { tool } from './tools.ts';
import type { Endpoint } from '../scenario.ts';

/** One transfer with curl; answers MB/s (10^6 bytes), connection set-up included. */
export async function transfer(
  endpoint: Endpoint,
  path: string,
  bytes: number,
  upload?: string,
): Promise<number> {
  const headers = Object.entries(endpoint.headers).flatMap(([name, value]) => [
    '-H',
    `${name}: ${value}`,
  ]);
  // Without "Expect:" curl waits up to 1 s for a server that does not answer 100.
  const body = upload === undefined ? [] : ['-T', upload, '-H', 'Expect:'];
  const output = await run(tool('curl'), [
    '-sS',
    '--http1.1',
    '-o',
    '/dev/null',
    '--max-time',
    '120',
    ...headers,
    ...body,
    '-w',
    '%{http_code} %{size_download} %{size_upload} %{time_total}',
    `http://127.0.0.1:${endpoint.port}${path}`,
  ]);
  const [status, down, up, seconds] = output.split(' ').map(Number);
  const moved = upload === undefined ? down : up;
  if (!(status && status >= 200 && status < 300) || moved !== bytes)
    throw new Error(`transfer of ${path} answered ${status} after ${moved} of ${bytes} bytes`);
  return bytes / 1e6 / (seconds ?? Number.NaN);
}
