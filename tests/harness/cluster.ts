import { mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type Client } from '@burrow/api';
import { ensureAgentBundle } from '../../scripts/lib/agent-bundle.ts';
import { startRelayProcess, type RelayProcess } from '../../scripts/cluster/relay-process.ts';
import { startStorage, type Storage } from '../../scripts/cluster/storage.ts';
import { startAgentProcess, type AgentProcess } from './agent-process.ts';
import { startCuttableLine, type CuttableLine } from './cuttable-line.ts';

/** A TCP line whose far end can be moved to another relay; what flows stays where it is. */
export interface SteeredLine extends CuttableLine {
  to: RelayProcess;
}

/** Relays in processes of their own with real Redis and PostgreSQL, all on loopback. */
export interface Cluster extends AsyncDisposable {
  readonly storage: Storage;
  readonly token: string;
  readonly folder: string;
  relay(id: string): RelayProcess;
  /** A member that was not there, or that was killed: it comes back as another run of itself. `own`: its environment alone. */
  start(id: string, own?: Readonly<Record<string, string>>): Promise<RelayProcess>;
  kill(id: string, signal?: NodeJS.Signals): void;
  api(id: string): Client;
  log(id: string): string;
  line(to: RelayProcess): Promise<SteeredLine>;
  /** A balancer before these members: each connection goes to the next one. */
  balancer(ids: readonly string[]): Promise<CuttableLine>;
  /** Makes the workspace and starts its agent over that line. */
  agent(name: string, line: { readonly port: number }): Promise<AgentProcess>;
}

export async function startCluster(
  ids: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'burrow-chaos-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const stopping = new AbortController();
  const storage = await startStorage({
    folder,
    signal: stopping.signal,
    onEnded() {},
    onStarted() {},
  });
  stack.defer(() => storage.stop());
  const relays = new Map<string, RelayProcess>();
  stack.defer(async () => {
    await Promise.all([...relays.values()].map((relay) => relay.stop()));
    stopping.abort();
  });
  const start: Cluster['start'] = async (id, own = {}) => {
    const relay = await startRelayProcess({
      id,
      folder: join(folder, 'relays', id),
      again: relays.has(id),
      env: {
        BURROW_RELAY_PUBLIC_URL: 'http://localhost',
        BURROW_RELAY_CLUSTER__RELAY_ID: id,
        BURROW_RELAY_LISTEN__PORT: '0',
        BURROW_RELAY_SSH__PORT: '0',
        ...storage.env,
        ...settings,
        ...own,
      },
      signal: stopping.signal,
    });
    relays.set(id, relay);
    return relay;
  };
  const relay = (id: string): RelayProcess => {
    const found = relays.get(id);
    if (found === undefined) throw new Error(`no relay ${id}`);
    return found;
  };
  await Promise.all(ids.map((id) => start(id)));
  const { token } = await relay(ids[0]!).ask({ kind: 'first-user', tokenName: 'tests' });
  const bundle = await ensureAgentBundle();
  const own = stack.move();
  const api: Cluster['api'] = (id) =>
    createClient({ baseUrl: `http://127.0.0.1:${relay(id).port}`, token });
  return {
    storage,
    token,
    folder,
    relay,
    start,
    kill: (id, signal = 'SIGKILL') => void process.kill(relay(id).pid, signal),
    api,
    log: (id) => readFileSync(join(folder, 'relays', id, 'relay.log'), 'utf8'),
    async line(to) {
      const line = await startCuttableLine(() => steered.to.port);
      own.defer(() => line[Symbol.asyncDispose]());
      const steered = Object.assign(line, { to });
      return steered;
    },
    async balancer(ids) {
      let next = 0;
      const line = await startCuttableLine(() => relay(ids[next++ % ids.length]!).port);
      own.defer(() => line[Symbol.asyncDispose]());
      return line;
    },
    async agent(name, line) {
      const created = await api(ids.at(-1)!).workspaces.create({ name, driver: 'external' });
      const agent = startAgentProcess(bundle, {
        BURROW_AGENT_TOKEN: created.environment?.BURROW_AGENT_TOKEN ?? '',
        BURROW_RELAY_URL: `http://127.0.0.1:${line.port}`,
        HOME: folder,
      });
      own.defer(() => agent.stop());
      return agent;
    },
    [Symbol.asyncDispose]: () => own.disposeAsync(),
  };
}
