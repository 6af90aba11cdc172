import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;
const PROBE_MS = 5_000;

export interface Probe {
  readonly port: number;
  /** Authority of the workspace, e.g. `demo.localhost:8080`. */
  readonly host: string;
  readonly token: string;
}

/** The whole way, as a browser's request goes: gateway, agent, editor. */
function answers(probe: Probe, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: probe.port,
        path: '/version',
        headers: { host: probe.host, 'burrow-authorization': `Bearer ${probe.token}` },
        agent: false,
        signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]),
      },
      (response) => {
        response.resume();
        response.once('close', () => resolve(response.statusCode === 200));
      },
    );
    sent.once('error', () => resolve(false));
    sent.end();
  });
}

/** Resolves once the editor answers through the tunnel; rejects with the signal's reason. */
export async function workspaceAnswers(probe: Probe, signal: AbortSignal): Promise<void> {
  while (!(await answers(probe, signal))) {
    signal.throwIfAborted();
    await sleep(POLL_MS, undefined, { signal });
  }
}
