import { WORKSPACE_NAME } from '@burrow/api';

/** The user name for connections without a workload: who am I, and jumps. No workspace may have it. */
export const HOME_USER = 'burrow';

/** What `<user>@relay` asks for. Undefined: no workspace can have that name. */
export function placeOf(
  username: string,
): { readonly kind: 'home' } | { readonly kind: 'workspace'; readonly name: string } | undefined {
  if (username === HOME_USER) return { kind: 'home' };
  const name = workspaceOf(username);
  return name === undefined ? undefined : { kind: 'workspace', name };
}

/** `demo` and `demo.burrow` both name the workspace `demo`. */
export function workspaceOf(host: string): string | undefined {
  const name = host.toLowerCase().replace(/\.burrow$/, '');
  return WORKSPACE_NAME.test(name) && name !== HOME_USER ? name : undefined;
}
