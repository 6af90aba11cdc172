import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeWhole } from '../atomic-write.ts';
import { CliError, EXIT } from '../cli-error.ts';

/** A relay, and how to sign in there. */
export interface Settings {
  /** Scheme, host and port; no path. */
  readonly url: URL;
  readonly token: string;
  /** PEM file of further certificate authorities. */
  readonly caFile?: string | undefined;
}

type Env = Readonly<Record<string, string | undefined>>;

/** `config.json` as written: all of it may be missing or wrong. */
interface Stored {
  readonly url?: unknown;
  readonly token?: unknown;
  readonly caFile?: unknown;
}

const SIGN_IN = 'Run `burrow login <url of your relay>`, or set BURROW_URL and BURROW_TOKEN.';

export function settingsFile(env: Env = process.env): string {
  const home = env['XDG_CONFIG_HOME'];
  const folder = home !== undefined && home.startsWith('/') ? home : join(homedir(), '.config');
  return join(folder, 'burrow', 'config.json');
}

/** Environment before file. Throws CliError. */
export function readSettings(env: Env = process.env): Settings {
  const stored = read(settingsFile(env));
  const storedUrl = typeof stored.url === 'string' ? stored.url : undefined;
  const urlText = env['BURROW_URL'] || storedUrl;
  if (urlText === undefined)
    throw new CliError(`You are not signed in. ${SIGN_IN}`, EXIT.notSignedIn);
  const url = relayUrl(urlText);
  let token = env['BURROW_TOKEN'] || undefined;
  if (token === undefined && typeof stored.token === 'string') {
    // A token is for the relay that gave it, and for no other.
    if (storedUrl === undefined || relayUrl(storedUrl).origin !== url.origin) {
      throw new CliError(
        'BURROW_URL names another relay than the one you are signed in to. Set BURROW_TOKEN too, or unset BURROW_URL.',
        EXIT.notSignedIn,
      );
    }
    token = stored.token;
  }
  if (token === undefined || !isToken(token)) {
    throw new CliError(
      token === undefined
        ? `You are not signed in. ${SIGN_IN}`
        : `The access token has the wrong form (burrow_pat_… is due). ${SIGN_IN}`,
      EXIT.notSignedIn,
    );
  }
  const caFile =
    env['BURROW_CA_FILE'] || (typeof stored.caFile === 'string' ? stored.caFile : undefined);
  return { url, token, caFile };
}

/** For its owner alone; written whole or not at all. */
export function writeSettings(settings: Settings, file = settingsFile()): void {
  const { url, token, caFile } = settings;
  const text = `${JSON.stringify({ url: url.origin, token, caFile }, undefined, 2)}\n`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new CliError(`Cannot make the folder of ${file}: ${(error as Error).message}`);
  }
  writeWhole(file, text, 0o600);
  // Also where a file was there with another mode.
  chmodSync(file, 0o600);
}

/** False: there was none. */
export function removeSettings(file = settingsFile()): boolean {
  const there = Object.keys(read(file)).length > 0;
  rmSync(file, { force: true });
  return there;
}

export function isToken(text: string): boolean {
  return /^burrow_pat_[A-Za-z0-9_-]{43}$/.test(text);
}

/** `relay.example.com` means https. Throws CliError. */
export function relayUrl(text: string): URL {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username || url.password) {
    throw new CliError(
      'The URL of a relay looks like https://burrow.example.com, without user name or password.',
      EXIT.usage,
    );
  }
  return new URL(url.origin);
}

function read(file: string): Stored {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new CliError(`Cannot read ${file}: ${(error as Error).message}`);
  }
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) return parsed;
  } catch {
    // Said below.
  }
  throw new CliError(`${file} is damaged. Run \`burrow login\` again.`, EXIT.notSignedIn);
}
