import { PortRanges } from './port-ranges.ts';

/** What a setting's text must look like. `parse` throws an Error whose message completes "… is wrong: ". */
export interface Setting<T> {
  readonly env: string;
  /** Undefined: only by environment. */
  readonly flag: string | undefined;
  readonly value: string;
  readonly help: string;
  readonly fallback: T;
  readonly parse: (text: string) => T;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type TransportChoice = 'auto' | 'grpc' | 'websocket';
export type SshChoice = 'built-in' | 'sshd' | 'off';
export type ForwardChoice = 'allowed' | 'anywhere' | 'none';

function oneOf<T extends string>(...values: readonly T[]) {
  return (text: string): T => {
    const found = values.find((value) => value === text);
    if (found === undefined) throw new Error(`use one of ${values.join(', ')}`);
    return found;
  };
}

function wholeNumber(min: number, max: number) {
  return (text: string): number => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    if (!(number >= min && number <= max)) throw new Error(`use a whole number, ${min} to ${max}`);
    return number;
  };
}

function relayUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new Error('use a URL such as https://burrow.example.com');
  if (url.username || url.password)
    throw new Error('it must hold no user name or password; the token has its own setting');
  if (url.pathname !== '/' || url.search || url.hash)
    throw new Error('it must end after the host and port');
  return url;
}

function absolutePath(text: string): string {
  if (text === '') throw new Error('it is empty');
  return text;
}

function socketPaths(text: string): readonly string[] {
  const paths = text
    .split(',')
    .map((path) => path.trim())
    .filter((path) => path !== '');
  for (const path of paths) {
    // 107 bytes: sun_path of unix(7), less its closing zero.
    if (!path.startsWith('/') || path.includes('\0') || Buffer.byteLength(path) > 107)
      throw new Error(`"${path}" is no absolute path of at most 107 bytes`);
  }
  return paths;
}

function label(text: string): string {
  const trimmed = text.trim();
  if (!/^[\x20-\x7e]{0,64}$/.test(trimmed))
    throw new Error('use at most 64 printable ASCII characters');
  return trimmed;
}

/** Every setting of the agent but its token, in the order of `--help`. */
export const SETTINGS = {
  relayUrl: {
    env: 'BURROW_RELAY_URL',
    flag: '--relay-url',
    value: 'URL',
    help: 'the relay to dial, https://host[:port] (needed)',
    fallback: undefined,
    parse: relayUrl,
  } as Setting<URL | undefined>,
  tokenFile: {
    env: 'BURROW_AGENT_TOKEN_FILE',
    flag: '--token-file',
    value: 'FILE',
    help: "file that holds the agent's token",
    fallback: undefined,
    parse: absolutePath,
  } as Setting<string | undefined>,
  allow: {
    env: 'BURROW_AGENT_ALLOW',
    flag: '--allow',
    value: 'PORTS',
    help: 'loopback ports that may be reached, e.g. 3000,8000-8999, or none (default 1024-65535)',
    fallback: PortRanges.parse('1024-65535'),
    parse: (text) => PortRanges.parse(text),
  } as Setting<PortRanges>,
  allowUnix: {
    env: 'BURROW_AGENT_ALLOW_UNIX',
    flag: '--allow-unix',
    value: 'PATHS',
    help: 'unix sockets that may be reached, comma-separated (default none)',
    fallback: [],
    parse: socketPaths,
  } as Setting<readonly string[]>,
  ssh: {
    env: 'BURROW_AGENT_SSH',
    flag: '--ssh',
    value: 'NAME',
    help: "built-in, sshd or off (default built-in: the agent's own SSH server)",
    fallback: 'built-in',
    parse: oneOf('built-in', 'sshd', 'off'),
  } as Setting<SshChoice>,
  sshDirectory: {
    env: 'BURROW_AGENT_SSH_DIRECTORY',
    flag: '--ssh-directory',
    value: 'FOLDER',
    help: "where the agent's SSH sessions begin (default: the home of its user)",
    fallback: undefined,
    parse: absolutePath,
  } as Setting<string | undefined>,
  sshHostKey: {
    env: 'BURROW_AGENT_SSH_HOST_KEY_FILE',
    flag: '--ssh-host-key-file',
    value: 'FILE',
    help: "the workload's SSH host key, made when it is not there; with sshd its public key",
    fallback: undefined,
    parse: absolutePath,
  } as Setting<string | undefined>,
  sshForward: {
    env: 'BURROW_AGENT_SSH_FORWARD',
    flag: '--ssh-forward',
    value: 'NAME',
    help: 'what -L may reach: allowed (as --allow says), anywhere, none (default allowed)',
    fallback: 'allowed',
    parse: oneOf('allowed', 'anywhere', 'none'),
  } as Setting<ForwardChoice>,
  sshdPort: {
    env: 'BURROW_AGENT_SSHD_PORT',
    flag: '--sshd-port',
    value: 'PORT',
    help: 'loopback port of an sshd, with --ssh sshd (default 60022)',
    fallback: 60_022,
    parse: wholeNumber(1, 65_535),
  } as Setting<number>,
  sshdUser: {
    env: 'BURROW_AGENT_SSHD_USER',
    flag: '--sshd-user',
    value: 'NAME',
    help: "whom that sshd signs in (default: the agent's user)",
    fallback: undefined,
    parse: label,
  } as Setting<string | undefined>,
  caFile: {
    env: 'BURROW_AGENT_CA_FILE',
    flag: '--ca-file',
    value: 'FILE',
    help: 'PEM file of extra certificate authorities',
    fallback: undefined,
    parse: absolutePath,
  } as Setting<string | undefined>,
  transport: {
    env: 'BURROW_AGENT_TRANSPORT',
    flag: '--transport',
    value: 'NAME',
    help: 'auto, grpc or websocket (default auto: gRPC, then WebSocket)',
    fallback: 'auto',
    parse: oneOf('auto', 'grpc', 'websocket'),
  } as Setting<TransportChoice>,
  minLinks: {
    env: 'BURROW_AGENT_MIN_LINKS',
    flag: '--min-links',
    value: 'N',
    help: 'links to keep when idle, 1 to 16 (default: what the relay asks for)',
    fallback: undefined,
    parse: wholeNumber(1, 16),
  } as Setting<number | undefined>,
  maxLinks: {
    env: 'BURROW_AGENT_MAX_LINKS',
    flag: '--max-links',
    value: 'N',
    help: 'links to have at most, 1 to 64 (default: what the relay allows)',
    fallback: undefined,
    parse: wholeNumber(1, 64),
  } as Setting<number | undefined>,
  drainTimeoutMs: {
    env: 'BURROW_AGENT_DRAIN_TIMEOUT',
    flag: '--drain-timeout',
    value: 'SECONDS',
    help: 'how long SIGTERM waits for open channels, 0 to 3600 (default 30)',
    fallback: 30_000,
    parse: (text: string) => wholeNumber(0, 3600)(text) * 1000,
  } as Setting<number>,
  label: {
    env: 'BURROW_AGENT_LABEL',
    flag: '--label',
    value: 'TEXT',
    help: 'how people see this agent (default: the host name)',
    fallback: undefined,
    parse: label,
  } as Setting<string | undefined>,
  logLevel: {
    env: 'BURROW_AGENT_LOG_LEVEL',
    flag: '--log-level',
    value: 'LEVEL',
    help: 'debug, info, warn or error (default info)',
    fallback: 'info',
    parse: oneOf('debug', 'info', 'warn', 'error'),
  } as Setting<LogLevel>,
} as const;

export type SettingName = keyof typeof SETTINGS;

export type Settings = { [K in SettingName]: (typeof SETTINGS)[K]['fallback'] };

export const TOKEN_ENV = 'BURROW_AGENT_TOKEN';
