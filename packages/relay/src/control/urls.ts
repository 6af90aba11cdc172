import type { ControlConfig } from './context.ts';

/** Public URL of `<label>.<domain>` with the relay's own scheme and port. */
function onDomain(config: ControlConfig, label: string): string {
  const { protocol, port } = config.publicUrl;
  return `${protocol}//${label}.${config.domain}${port === '' ? '' : `:${port}`}`;
}

/** Where a workspace's editor opens. */
export function workspaceUrl(config: ControlConfig, name: string): string {
  return onDomain(config, name);
}

export function portUrl(config: ControlConfig, name: string, port: number): string {
  return onDomain(config, `${port}-${name}`);
}

/** VS Code's template of forwarded ports: it replaces `{{port}}`. */
export function proxyUriTemplate(config: ControlConfig, name: string): string {
  return `${onDomain(config, `{{port}}-${name}`)}/`;
}
