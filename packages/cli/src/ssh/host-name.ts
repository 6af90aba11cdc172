import { CliError, EXIT } from '../cli-error.ts';

/** Workspaces are hosts under this name to ssh. */
export const SUFFIX = '.burrow';

const NAME = /^[a-z]([a-z0-9-]{0,32}[a-z0-9])?$/;

/** `demo.burrow` or `demo` → `demo`. ssh hands host names over in lower case. Throws CliError. */
export function workspaceOf(host: string): string {
  const name = host.toLowerCase().endsWith(SUFFIX) ? host.slice(0, -SUFFIX.length) : host;
  if (NAME.test(name)) return name;
  throw new CliError(
    `“${host.replace(/[^\x20-\x7e]/g, '?').slice(0, 80)}” names no workspace: use its name, or <name>${SUFFIX}.`,
    EXIT.usage,
  );
}
