import type { z } from 'zod';
import { ApiError, parseJson } from './api-error.ts';
import { auditEventListSchema, type AuditEventList, type AuditQueryInput } from './audit.ts';
import { channelListSchema, type ChannelList, type ChannelQueryInput } from './channel.ts';
import { clusterSchema, type Cluster } from './cluster.ts';
import { portSchema, type Port, type PortSettingsInput } from './port.ts';
import {
  sshCertificateSchema,
  userCaSchema,
  type SshCertificate,
  type UserCa,
} from './ssh-certificate.ts';
import { sshKeyListSchema, sshKeySchema, type CreateSshKeyInput, type SshKey } from './ssh-key.ts';
import {
  createdTokenSchema,
  tokenListSchema,
  userSchema,
  type CreatedToken,
  type CreateTokenInput,
  type Token,
  type User,
} from './user.ts';
import {
  agentTokenSchema,
  createdWorkspaceSchema,
  workspaceListSchema,
  workspaceSchema,
  type AgentToken,
  type CreatedWorkspace,
  type CreateWorkspaceInput,
  type Workspace,
} from './workspace.ts';

export interface ClientOptions {
  /** The relay, e.g. `http://localhost:8080`; `/api/v1` is added. */
  readonly baseUrl: string | URL;
  /** A personal access token. Left out in a browser, where the session's cookie signs in. */
  readonly token?: string;
  readonly fetch?: typeof fetch;
  /** Bounds every call, ms. Default 30 s. */
  readonly timeoutMs?: number;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** Every call rejects with ApiError, or with the signal's reason. */
export interface Client {
  readonly workspaces: {
    create(input: CreateWorkspaceInput, options?: CallOptions): Promise<CreatedWorkspace>;
    list(options?: CallOptions): Promise<readonly Workspace[]>;
    show(name: string, options?: CallOptions): Promise<Workspace>;
    terminate(name: string, options?: CallOptions): Promise<void>;
    /** A new token for the agent; the old one and its links end at once. */
    rotateAgentToken(name: string, options?: CallOptions): Promise<AgentToken>;
    /** Certifies a public key (one line) for the workload's sshd, for 5 minutes. */
    sshCertificate(name: string, publicKey: string, options?: CallOptions): Promise<SshCertificate>;
    port(name: string, port: number, options?: CallOptions): Promise<Port>;
    setPort(
      name: string,
      port: number,
      settings: PortSettingsInput,
      options?: CallOptions,
    ): Promise<Port>;
    resetPort(name: string, port: number, options?: CallOptions): Promise<void>;
  };
  readonly user: {
    show(options?: CallOptions): Promise<User>;
    tokens(options?: CallOptions): Promise<readonly Token[]>;
    createToken(input: CreateTokenInput, options?: CallOptions): Promise<CreatedToken>;
    revokeToken(id: string, options?: CallOptions): Promise<void>;
    keys(options?: CallOptions): Promise<readonly SshKey[]>;
    key(id: string, options?: CallOptions): Promise<SshKey>;
    addKey(input: CreateSshKeyInput, options?: CallOptions): Promise<SshKey>;
    removeKey(id: string, options?: CallOptions): Promise<void>;
  };
  /** The authority that workloads' sshd should trust. */
  sshUserCa(options?: CallOptions): Promise<UserCa>;
  /** For administrators. Newest first; pass `next` as `cursor` for older ones. */
  auditEvents(query?: AuditQueryInput, options?: CallOptions): Promise<AuditEventList>;
  /** For administrators. The relays and what each says of itself. */
  cluster(options?: CallOptions): Promise<Cluster>;
  /** For administrators. Channels that are open now, over all relays; youngest first. */
  channels(query?: ChannelQueryInput, options?: CallOptions): Promise<ChannelList>;
}

export function createClient(options: ClientOptions): Client {
  const call = caller(options);
  const workspace = (name: string): string => `/workspaces/${encodeURIComponent(name)}`;
  const key = (id: string): string => `/user/keys/${encodeURIComponent(id)}`;
  return {
    workspaces: {
      create: (input, o) => call('POST', '/workspaces', createdWorkspaceSchema, input, o),
      list: async (o) =>
        (await call('GET', '/workspaces', workspaceListSchema, undefined, o)).workspaces,
      show: (name, o) => call('GET', workspace(name), workspaceSchema, undefined, o),
      terminate: (name, o) => call('DELETE', workspace(name), undefined, undefined, o),
      rotateAgentToken: (name, o) =>
        call('POST', `${workspace(name)}/agent-token`, agentTokenSchema, undefined, o),
      sshCertificate: (name, publicKey, o) =>
        call('POST', `${workspace(name)}/ssh-certificate`, sshCertificateSchema, { publicKey }, o),
      port: (name, port, o) =>
        call('GET', `${workspace(name)}/ports/${port}`, portSchema, undefined, o),
      setPort: (name, port, settings, o) =>
        call('PUT', `${workspace(name)}/ports/${port}`, portSchema, settings, o),
      resetPort: (name, port, o) =>
        call('DELETE', `${workspace(name)}/ports/${port}`, undefined, undefined, o),
    },
    user: {
      show: (o) => call('GET', '/user', userSchema, undefined, o),
      tokens: async (o) =>
        (await call('GET', '/user/tokens', tokenListSchema, undefined, o)).tokens,
      createToken: (input, o) => call('POST', '/user/tokens', createdTokenSchema, input, o),
      revokeToken: (id, o) =>
        call('DELETE', `/user/tokens/${encodeURIComponent(id)}`, undefined, undefined, o),
      keys: async (o) => (await call('GET', '/user/keys', sshKeyListSchema, undefined, o)).keys,
      key: (id, o) => call('GET', key(id), sshKeySchema, undefined, o),
      addKey: (input, o) => call('POST', '/user/keys', sshKeySchema, input, o),
      removeKey: (id, o) => call('DELETE', key(id), undefined, undefined, o),
    },
    sshUserCa: (o) => call('GET', '/ssh/user-ca', userCaSchema, undefined, o),
    cluster: (o) => call('GET', '/cluster', clusterSchema, undefined, o),
    channels: (query = {}, o) =>
      call('GET', `/cluster/channels?${searchOf(query)}`, channelListSchema, undefined, o),
    auditEvents: (query = {}, o) =>
      call('GET', `/audit-events?${searchOf(query)}`, auditEventListSchema, undefined, o),
  };
}

function searchOf(query: object): string {
  const wanted = Object.entries(query).filter(([, value]) => value !== undefined);
  return new URLSearchParams(wanted.map(([name, value]) => [name, String(value)])).toString();
}

interface Call {
  <S extends z.ZodType>(
    method: string,
    path: string,
    schema: S,
    body: unknown,
    options: CallOptions | undefined,
  ): Promise<z.output<S>>;
  (
    method: string,
    path: string,
    schema: undefined,
    body: unknown,
    options: CallOptions | undefined,
  ): Promise<void>;
}

function caller(options: ClientOptions): Call {
  const base = new URL(options.baseUrl).href.replace(/\/$/, '');
  const send = options.fetch ?? fetch;
  const call = async (
    method: string,
    path: string,
    schema: z.ZodType | undefined,
    body: unknown,
    { signal }: CallOptions = {},
  ): Promise<unknown> => {
    const bound = AbortSignal.timeout(options.timeoutMs ?? 30_000);
    const headers: Record<string, string> = { accept: 'application/json' };
    if (options.token !== undefined) headers['authorization'] = `Bearer ${options.token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    let status: number;
    let text: string;
    try {
      const response = await send(`${base}/api/v1${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: signal ? AbortSignal.any([signal, bound]) : bound,
        // A token must not follow a redirect to somewhere else.
        redirect: 'error',
      });
      ({ status } = response);
      text = await response.text();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw noAnswer(base, error, bound.aborted);
    }
    if (status >= 400) throw ApiError.from(status, text);
    if (schema === undefined) return undefined;
    const parsed = schema.safeParse(parseJson(text));
    if (!parsed.success) throw ApiError.from(status, '');
    return parsed.data;
  };
  return call as Call;
}

function noAnswer(base: string, error: unknown, timedOut: boolean): ApiError {
  const message = timedOut
    ? `The relay at ${base} did not answer in time.`
    : `The relay at ${base} could not be reached: check its URL and that it is running.`;
  return new ApiError(
    0,
    { code: 'no-answer', message, blame: 'client', requestId: '' },
    { cause: error },
  );
}
