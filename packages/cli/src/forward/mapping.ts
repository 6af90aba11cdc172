import { isIP } from 'node:net';
import { CliError, EXIT } from '../cli-error.ts';

/** A port here that leads to one of the workspace. */
export interface Mapping {
  /** 0: any free one. */
  readonly local: number;
  readonly remote: number;
}

const MAPPING = /^(?:(\d{0,5}):)?(\d{1,5})$/;

/** `3000`, `8080:3000`, `:3000` or `0:3000` (a free port here). Throws CliError. */
export function parseMapping(text: string): Mapping {
  const [matched, localText, remoteText = ''] = MAPPING.exec(text) ?? [];
  const remote = Number(remoteText);
  const local = localText === undefined ? remote : Number(localText);
  if (matched === undefined || remote < 1 || remote > 65_535 || local > 65_535) {
    throw new CliError(
      `“${text.replace(/[^\x20-\x7e]/g, '?').slice(0, 80)}” names no ports: use REMOTE, LOCAL:REMOTE or :REMOTE, with numbers from 1 to 65535. Only TCP is forwarded.`,
      EXIT.usage,
    );
  }
  return { local, remote };
}

/** An IP address to listen on; `localhost` is 127.0.0.1. Throws CliError. */
export function parseAddress(text: string): string {
  if (text === 'localhost') return '127.0.0.1';
  if (isIP(text) !== 0) return text;
  throw new CliError('--address takes an IP address of this machine, or localhost.', EXIT.usage);
}

/** Nobody but this machine reaches it. */
export function isLoopback(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

/** `127.0.0.1:8080`, `[::1]:8080`. */
export function hostPort(address: string, port: number): string {
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}
