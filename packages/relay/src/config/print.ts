import { Document, isMap, isScalar, stringify, type YAMLMap } from 'yaml';
import { LEAVES } from './leaves.ts';
import type { LoadedConfig } from './load.ts';

const MASK = '<hidden>';

function valueAt(config: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((node, part) => (node as Record<string, unknown> | undefined)?.[part], config);
}

/** The effective configuration as YAML, each value with a comment that names its source. Secrets are masked. */
export function printYaml(loaded: LoadedConfig): string {
  const tree: Record<string, unknown> = {};
  for (const leaf of LEAVES) {
    const parts = leaf.path.split('.');
    const last = parts.pop() ?? '';
    let node = tree;
    for (const part of parts) node = (node[part] ??= {}) as Record<string, unknown>;
    node[last] = shown(loaded, leaf.path, leaf.secret) ?? null;
  }
  const document: Document = new Document(tree);
  for (const leaf of LEAVES)
    comment(document, leaf.path, loaded.sources.get(leaf.path) ?? 'default');
  return document.toString({ lineWidth: 0 });
}

function comment(document: Document, path: string, source: string): void {
  const parts = path.split('.');
  const last = parts.pop();
  const parent = (
    parts.length === 0 ? document.contents : document.getIn(parts, true)
  ) as YAMLMap | null;
  if (!isMap(parent)) return;
  const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === last);
  if (pair === undefined) return;
  const value = pair.value as { comment?: string; flow?: boolean };
  value.comment = ` ${source}`;
  value.flow = true;
}

/** `{"listen.port": {"value": 8150, "source": "default"}, …}`. Secrets are masked. */
export function printJson(loaded: LoadedConfig): string {
  const out: Record<string, { value: unknown; source: string }> = {};
  for (const leaf of LEAVES) {
    out[leaf.path] = {
      value: shown(loaded, leaf.path, leaf.secret) ?? null,
      source: loaded.sources.get(leaf.path) ?? 'default',
    };
  }
  return `${JSON.stringify(out, undefined, 2)}\n`;
}

function shown(loaded: LoadedConfig, path: string, secret: boolean): unknown {
  const value = valueAt(loaded.config, path);
  return secret && value !== undefined ? MASK : value;
}

/** One YAML scalar or list, for documentation. */
export function inlineYaml(value: unknown): string {
  return value === undefined ? '' : stringify(value, { collectionStyle: 'flow' }).trim();
}
