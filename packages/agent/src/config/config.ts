import { readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { X509Certificate } from 'node:crypto';
import { proxyFor } from '@burrow/outbound';
import { SETTINGS, TOKEN_ENV, type Setting, type SettingName, type Settings } from './settings.ts';

/** Everything the agent was told, checked once. */
export interface AgentConfig extends Omit<Settings, 'relayUrl' | 'tokenFile' | 'caFile' | 'label'> {
  readonly relayUrl: URL;
  /** `http:` or `https:`, perhaps with credentials; undefined: the relay is dialled itself. */
  readonly proxy: URL | undefined;
  readonly token: string;
  /** PEM. */
  readonly ca: string | undefined;
  readonly label: string;
  /** Sentences for the log: nothing that stops the agent. */
  readonly warnings: readonly string[];
}

/** `message` is a sentence for the person who starts the agent; it never holds a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const MAX_TOKEN_FILE = 4096;
const MAX_CA_FILE = 1024 * 1024;
const names = Object.keys(SETTINGS) as SettingName[];

/**
 * Flags win over the environment. Takes the token out of `env`, so that no
 * child process inherits it. Throws ConfigError.
 */
export function readConfig(argv: readonly string[], env: NodeJS.ProcessEnv): AgentConfig {
  const token = env[TOKEN_ENV];
  delete env[TOKEN_ENV];
  const texts = new Map<SettingName, { text: string; source: string }>();
  for (const name of names) {
    const text = env[SETTINGS[name].env];
    // An empty variable is one that a template left empty: as if not set.
    if (text !== undefined && text !== '') texts.set(name, { text, source: SETTINGS[name].env });
  }
  readFlags(argv, texts);

  const settings = Object.fromEntries(
    names.map((name) => [name, parseSetting(SETTINGS[name], texts.get(name))]),
  ) as unknown as Settings;
  const { relayUrl, tokenFile, caFile, label, ...rest } = settings;
  if (!relayUrl)
    throw new ConfigError('No relay is named: set BURROW_RELAY_URL or give --relay-url.');
  if (rest.minLinks && rest.maxLinks && rest.minLinks > rest.maxLinks)
    throw new ConfigError(
      `BURROW_AGENT_MIN_LINKS (${rest.minLinks}) is over BURROW_AGENT_MAX_LINKS (${rest.maxLinks}).`,
    );
  return {
    ...rest,
    relayUrl,
    proxy: readProxy(relayUrl),
    token: checkToken(token, tokenFile),
    ca: caFile === undefined ? undefined : readAuthorities(caFile),
    label: label ?? hostname().slice(0, 64),
    warnings: unknownVariables(env),
  };
}

function readFlags(
  argv: readonly string[],
  texts: Map<SettingName, { text: string; source: string }>,
): void {
  const given = new Set<string>();
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? '';
    const equals = argument.indexOf('=');
    const flag = equals < 0 ? argument : argument.slice(0, equals);
    const name = names.find((candidate) => SETTINGS[candidate].flag === flag);
    if (!name) {
      // The value is not repeated: it may be a token that somebody tried to pass.
      if (/^--?token$/.test(flag))
        throw new ConfigError(
          `The token is not taken from a flag, where every process could read it: set ${TOKEN_ENV} or give --token-file.`,
        );
      throw new ConfigError(
        flag.startsWith('-')
          ? `Unknown flag ${JSON.stringify(flag.slice(0, 64))}. --help lists the known ones.`
          : 'Unexpected argument: the agent takes only flags. --help lists them.',
      );
    }
    if (given.has(flag)) throw new ConfigError(`${flag} is given twice.`);
    given.add(flag);
    const text = equals < 0 ? argv[++i] : argument.slice(equals + 1);
    if (text === undefined || (equals < 0 && text.startsWith('--')))
      throw new ConfigError(`${flag} needs a value: ${SETTINGS[name].help}.`);
    texts.set(name, { text, source: flag });
  }
}

function parseSetting(
  setting: Setting<unknown>,
  given: { text: string; source: string } | undefined,
): unknown {
  if (!given) return setting.fallback;
  try {
    return setting.parse(given.text);
  } catch (error) {
    throw new ConfigError(`${given.source} is wrong: ${(error as Error).message}.`);
  }
}

function readProxy(relay: URL): URL | undefined {
  try {
    return proxyFor(relay);
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}.`);
  }
}

function checkToken(fromEnv: string | undefined, file: string | undefined): string {
  if (fromEnv && file !== undefined)
    throw new ConfigError(
      `Both ${TOKEN_ENV} and a token file (BURROW_AGENT_TOKEN_FILE, --token-file) are given: keep one.`,
    );
  const source = file ?? TOKEN_ENV;
  const token = (
    file === undefined ? fromEnv : readSmallFile(file, MAX_TOKEN_FILE, 'The token file')
  )?.trim();
  if (!token)
    throw new ConfigError(
      file === undefined
        ? `No token is given: set ${TOKEN_ENV} or BURROW_AGENT_TOKEN_FILE.`
        : `The token file ${source} is empty.`,
    );
  if (token.startsWith('burrow_pat_'))
    throw new ConfigError(
      `${source} holds a personal access token (burrow_pat_…); the agent needs its own (burrow_agt_…).`,
    );
  // The relay decides what it knows; here only what can be no agent token at all.
  if (!/^burrow_agt_[\w-]{16,256}$/.test(token))
    throw new ConfigError(
      `${source} holds no agent token: one begins with burrow_agt_ and has no spaces.`,
    );
  return token;
}

function readAuthorities(file: string): string {
  const pem = readSmallFile(file, MAX_CA_FILE, 'The file of certificate authorities');
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (!blocks) throw new ConfigError(`${file} holds no PEM certificate.`);
  for (const [index, block] of blocks.entries()) {
    try {
      // Parsed for its errors: TLS would only say so at the first dial.
      void new X509Certificate(block).fingerprint256;
    } catch (error) {
      throw new ConfigError(
        `Certificate ${index + 1} in ${file} cannot be read: ${(error as Error).message}.`,
      );
    }
  }
  return blocks.join('\n');
}

function readSmallFile(file: string, max: number, what: string): string {
  try {
    if (statSync(file).size > max) throw new Error(`it is larger than ${max} bytes`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`${what} ${file} cannot be read: ${(error as Error).message}.`);
  }
}

function unknownVariables(env: NodeJS.ProcessEnv): readonly string[] {
  const known = new Set<string>(names.map((name) => SETTINGS[name].env));
  return Object.keys(env)
    .filter((key) => key.startsWith('BURROW_AGENT_') && !known.has(key))
    .map((key) => `The environment variable ${key} is not known to this version and has no effect`);
}
