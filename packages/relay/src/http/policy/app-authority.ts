import { parseHost, type HostNames } from './host.ts';

/**
 * Which workspace an app host's authority belongs to. Undefined: it is no app
 * host, or not written as a browser writes it.
 */
export function workspaceOfHost(
  names: HostNames,
): (authority: string, secure: boolean) => string | undefined {
  return (authority, secure) => {
    const host = parseHost(authority, secure, names);
    return host.place.kind === 'app' && host.authority === authority
      ? host.place.workspace
      : undefined;
  };
}
