import { isIPv4, isIPv6 } from 'node:net';

export interface HostNames {
  /** E.g. `localhost` or `burrow.example.com`: apps are one label below it, the control host is the domain itself. */
  readonly domain: string;
  /** More names of the control host. */
  readonly publicHosts: readonly string[];
}

export type Place =
  | { readonly kind: 'control' }
  /** `port` undefined: the workspace's editor. */
  | { readonly kind: 'app'; readonly workspace: string; readonly port: number | undefined }
  /** Looks like an app's host, but the port is not 1 to 65535 in plain decimal. */
  | { readonly kind: 'bad-port'; readonly text: string }
  | { readonly kind: 'unknown' };

export interface Host {
  readonly place: Place;
  /** Without port; an IPv6 address in brackets. */
  readonly name: string;
  /** As a browser writes it: without the scheme's default port. */
  readonly authority: string;
  /** `:8080`, or empty for the scheme's default port. */
  readonly portSuffix: string;
  /** Loopback: `localhost`, `*.localhost` (RFC 6761), 127.0.0.0/8, ::1. */
  readonly loopback: boolean;
}

const AUTHORITY = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::([1-9]\d{0,4}))?$/;

/** A workspace's name; `<5 digits>-<name>` must fit a DNS label of 63 bytes. */
const WORKSPACE = /^[a-z](?:[a-z0-9-]{0,32}[a-z0-9])?$/;

const UNKNOWN: Place = Object.freeze({ kind: 'unknown' });

/**
 * What a `Host` or `:authority` (lower case) stands for. Only this one field is
 * looked at: `X-Forwarded-Host`, `Forwarded` and SNI choose nothing.
 */
export function parseHost(authority: string, secure: boolean, names: HostNames): Host {
  const match = AUTHORITY.exec(authority);
  const name = match?.[1];
  const port = match?.[2];
  if (name === undefined || (port !== undefined && !isPort(port))) {
    return { place: UNKNOWN, name: '', authority: '', portSuffix: '', loopback: false };
  }
  const isDefault = port === undefined || port === (secure ? '443' : '80');
  const portSuffix = isDefault ? '' : `:${port}`;
  return {
    place: placeOf(name, names),
    name,
    authority: name + portSuffix,
    portSuffix,
    loopback: isLoopback(name),
  };
}

function placeOf(name: string, names: HostNames): Place {
  if (name === names.domain || name === 'localhost' || names.publicHosts.includes(name)) {
    return { kind: 'control' };
  }
  if (isIPv4(name) || (name.startsWith('[') && isIPv6(name.slice(1, -1))))
    return { kind: 'control' };
  if (!name.endsWith(`.${names.domain}`)) return UNKNOWN;
  const label = name.slice(0, -names.domain.length - 1);
  if (WORKSPACE.test(label)) return { kind: 'app', workspace: label, port: undefined };
  // Splits at the first dash, as GitLab's workspace hosts do.
  const dash = label.indexOf('-');
  const text = label.slice(0, Math.max(dash, 0));
  const workspace = label.slice(dash + 1);
  if (!/^\d+$/.test(text) || !WORKSPACE.test(workspace)) return UNKNOWN;
  if (!/^[1-9]/.test(text) || !isPort(text)) return { kind: 'bad-port', text };
  return { kind: 'app', workspace, port: Number(text) };
}

function isPort(text: string): boolean {
  const port = Number(text);
  return text.length <= 5 && port >= 1 && port <= 65535;
}

function isLoopback(name: string): boolean {
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  if (isIPv4(name)) return name.startsWith('127.');
  // The one address has many spellings; URL knows its shortest.
  return (
    name.startsWith('[') &&
    isIPv6(name.slice(1, -1)) &&
    new URL(`http://${name}`).hostname === '[::1]'
  );
}
