import type { Endpoint } from '../scenario.ts';
import { run } from './child.ts';

export interface WrkResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** µs */
  readonly p50: number;
  readonly p99: number;
}

const MICROSECONDS: Readonly<Record<string, number>> = { us: 1, ms: 1000, s: 1_000_000 };

function latency(output: string, percent: string): number {
  const match = new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s)$`, 'm').exec(output);
  return Number(match?.[1]) * (MICROSECONDS[match?.[2] ?? ''] ?? Number.NaN);
}

/** Small GET requests on `connections` kept-open connections. Throws if any was not answered with 2xx or 3xx. */
export async function wrk(
  endpoint: Endpoint,
  connections: number,
  seconds: number,
): Promise<WrkResult> {
  const headers = Object.entries(endpoint.headers).flatMap(([name, value]) => [
    '-H',
    `${name}: ${value}`,
  ]);
  const output = await run('wrk', [
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--latency',
    ...headers,
    `http://127.0.0.1:${endpoint.port}/small`,
  ]);
  const wrong = /Non-2xx or 3xx responses: (\d+)/.exec(output);
  if (wrong !== null) throw new Error(`wrk: ${wrong[0]}`);
  const requests = Number(/(\d+) requests in /.exec(output)?.[1]);
  const requestsPerSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]);
  if (!(requestsPerSecond > 0)) throw new Error(`wrk gave no result:\n${output}`);
  return { requests, requestsPerSecond, p50: latency(output, '50'), p99: latency(output, '99') };
}
