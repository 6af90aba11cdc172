import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CreatedWorkspace, CreateWorkspaceInput, Workspace } from '@burrow/api';
import { configSchema, type ConfigInput } from '../../packages/relay/src/config/schema.ts';
import type { Driver } from '../../packages/relay/src/drivers/driver.ts';
import { localDriver } from '../../packages/relay/src/drivers/local.ts';
import { createLogger } from '../../packages/relay/src/observe/logger.ts';
import { createRelay, type Relay } from '../../packages/relay/src/relay.ts';
import { installEditor } from '../../scripts/install-editor.mjs';
import { ensureAgentBundle } from '../../scripts/lib/agent-bundle.ts';
import { startAgentProcess, type AgentProcess } from './agent-process.ts';
import { selfSignedCertificate, type Certificate } from './certificate.ts';
import { eventually } from './eventually.ts';
import { send, type Answer, type SendOptions } from './send.ts';

export interface BurrowOptions {
  /** With a certificate made for the occasion. */
  readonly tls?: boolean;
  /** Default: `localhost`, and `burrow.test` with TLS. */
  readonly domain?: string;
  /** An external workspace made at once; its agent is not started. */
  readonly workspace?: string;
  /** Real VS Code in workspaces with driver `local`. */
  readonly local?: boolean;
  /** Leads the agents of local workspaces another way to the relay than straight. */
  readonly localAgentsVia?: (relayUrl: string) => string;
  /** Any other setting of the relay. */
  readonly config?: Omit<ConfigInput, 'dataDir' | 'domain'>;
}

/** A relay in this process, with a fresh data folder, on a free port of 127.0.0.1. */
export interface Burrow extends AsyncDisposable {
  readonly relay: Relay;
  /** `http(s)://<domain>:<port>`; the name need not resolve, see `send`. */
  readonly url: string;
  readonly port: number;
  readonly domain: string;
  readonly dataDir: string;
  /** Personal access token of the administrator. */
  readonly token: string;
  readonly certificate: Certificate | undefined;
  /** `demo` → `http://demo.localhost:1234`, with a port `http://3000-demo.localhost:1234`. */
  appUrl(workspace: string, port?: number): string;
  /** A request as the administrator, to any URL of this relay or to a path of its control host. */
  send(url: string, options?: SendOptions): Promise<Answer>;
  /** The same without credentials. */
  sendAnonymously(url: string, options?: SendOptions): Promise<Answer>;
  signInLink(): Promise<string>;
  createWorkspace(name: string, input?: Partial<CreateWorkspaceInput>): Promise<CreatedWorkspace>;
  showWorkspace(name: string): Promise<Workspace>;
  /** Starts an agent (default: the one just built) for an external workspace; resolves once it is connected. */
  startAgent(
    name: string,
    env?: Readonly<Record<string, string>>,
    file?: string,
  ): Promise<AgentProcess>;
  stop(): Promise<void>;
}

/**
 * `await using burrow = await startBurrow({ workspace: 'demo' });`
 * `await burrow.startAgent('demo');`
 */
export async function startBurrow(options: BurrowOptions = {}): Promise<Burrow> {
  await using stack = new AsyncDisposableStack();
  const tls = options.tls ?? false;
  const domain = options.domain ?? (tls ? 'burrow.test' : 'localhost');
  const dataDir = await mkdtemp(join(tmpdir(), 'burrow-test-'));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const certificate = tls ? await selfSignedCertificate(dataDir, domain) : undefined;
  const ca = certificate === undefined ? undefined : await readFile(certificate.certFile, 'utf8');
  const caEnv: Record<string, string> =
    certificate === undefined ? {} : { BURROW_AGENT_CA_FILE: certificate.certFile };
  const bundle = await ensureAgentBundle();

  const config = configSchema.parse({
    ...options.config,
    domain,
    dataDir,
    listen: {
      port: 0,
      ...(certificate === undefined ? {} : { tls: certificate }),
      ...options.config?.listen,
    },
    // A thread of its own, and few tests need it.
    ssh: { enabled: false, port: 0, ...options.config?.ssh },
    log: { level: process.env['BURROW_TEST_LOG'] ?? 'silent', ...options.config?.log },
  });
  const drivers: Driver[] = [];
  if (options.local === true) {
    const driver = localDriver({
      folder: join(dataDir, 'workspaces'),
      editor: await installEditor(),
      agent: bundle,
      agentEnv: caEnv,
    });
    const via = options.localAgentsVia ?? ((url) => url);
    drivers.push({
      ...driver,
      start: (workspace, request, signal) =>
        driver.start(workspace, { ...request, relayUrl: via(request.relayUrl) }, signal),
    });
  }
  const relay = await createRelay(config, { drivers, logger: createLogger(config.log) });
  stack.defer(() => relay.stop(0));
  await relay.start();
  const admin = await relay.auth.users.ensureLocalAdmin();
  const { token } = await relay.auth.tokens.create(admin.userId, 'tests');

  const origin = relay.url.origin;
  const scheme = tls ? 'https' : 'http';
  const tokens = new Map<string, string>();
  const sendAnonymously = (url: string, request: SendOptions = {}): Promise<Answer> =>
    send(new URL(url, origin), request, ca);
  const sendAsAdmin = (url: string, request: SendOptions = {}): Promise<Answer> =>
    sendAnonymously(url, {
      ...request,
      headers: { 'burrow-authorization': `Bearer ${token}`, ...request.headers },
    });
  const expect = async <T>(answer: Promise<Answer>, status: number): Promise<T> => {
    const { status: got, text } = await answer;
    if (got !== status) throw new Error(`Expected ${status}, got ${got}: ${text}`);
    return JSON.parse(text) as T;
  };
  const showWorkspace = (name: string): Promise<Workspace> =>
    expect(sendAsAdmin(`/api/v1/workspaces/${name}`), 200);

  const kept = stack.move();
  const burrow: Burrow = {
    relay,
    url: origin,
    port: relay.port,
    domain,
    dataDir,
    token,
    certificate,
    appUrl: (workspace, port) =>
      `${scheme}://${port === undefined ? '' : `${port}-`}${workspace}.${domain}:${relay.port}`,
    send: sendAsAdmin,
    sendAnonymously,
    async signInLink() {
      const { code } = await relay.auth.signInLinks.create({ userId: admin.userId });
      return `${origin}/sign-in?code=${code}`;
    },
    async createWorkspace(name, input = {}) {
      const created = await expect<CreatedWorkspace>(
        sendAsAdmin('/api/v1/workspaces', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ driver: 'external', ...input, name }),
        }),
        201,
      );
      if (created.environment !== undefined) {
        tokens.set(name, created.environment.BURROW_AGENT_TOKEN);
      }
      return created;
    },
    showWorkspace,
    async startAgent(name, env = {}, file = bundle) {
      const agentToken = tokens.get(name);
      if (agentToken === undefined)
        throw new Error(`No external workspace "${name}" was made here`);
      const agent = startAgentProcess(file, {
        BURROW_RELAY_URL: `${scheme}://127.0.0.1:${relay.port}`,
        BURROW_AGENT_TOKEN: agentToken,
        // Channels that the relay keeps for reuse would otherwise be waited for.
        BURROW_AGENT_DRAIN_TIMEOUT: '0',
        ...caEnv,
        ...env,
      });
      kept.use(agent);
      await eventually(`the agent of "${name}" is connected`, async () => {
        return (await showWorkspace(name)).state === 'running';
      });
      return agent;
    },
    stop: () => kept.disposeAsync(),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
  if (options.workspace !== undefined) await burrow.createWorkspace(options.workspace);
  return burrow;
}
