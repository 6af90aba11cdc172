import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import type { z } from 'zod';
import { RelayError } from '../errors.ts';
import { LEAVES, type Leaf } from './leaves.ts';
import { nearest } from './nearest.ts';
import { configSchema, type Config } from './schema.ts';

/** Where a value came from: `default`, `file relay.yaml`, `env BURROW_RELAY_…` or `flag --…`. */
export type Sources = ReadonlyMap<string, string>;

export interface LoadedConfig {
  readonly config: Config;
  readonly sources: Sources;
}

export interface LoadInput {
  /** YAML or JSON; undefined: `BURROW_CONFIG` of the environment, else none. */
  readonly file?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Flag values as text or parsed, by setting path (`listen.port`). */
  readonly flags?: Readonly<Record<string, unknown>>;
}

type Tree = Record<string, unknown>;
const ENV_PREFIX = 'BURROW_RELAY_';
const BY_PATH = new Map(LEAVES.map((leaf) => [leaf.path, leaf]));
const BY_ENV = new Map(LEAVES.map((leaf) => [leaf.env, leaf]));
const SECTIONS = new Set(
  LEAVES.flatMap((leaf) =>
    leaf.path.split('.').map((_, index, parts) => parts.slice(0, index).join('.')),
  ),
);

/**
 * Not settings: the agent's own variable, and what Kubernetes puts into each
 * container of a namespace that has a Service named `burrow-relay`.
 */
const FOREIGN_ENV = /^BURROW_RELAY_(URL$|SERVICE_|PORT$|PORT_)/;

/**
 * Reads file, environment and flags (later ones win) into a checked
 * configuration. Throws RelayError `config-invalid` that names the setting, where
 * it was set, and for an unknown one the nearest known.
 */
export function loadConfig(input: LoadInput = {}): LoadedConfig {
  const env = input.env ?? {};
  const tree: Tree = {};
  const sources = new Map<string, string>();
  const problems: string[] = [];

  const file = input.file ?? nonEmpty(env['BURROW_CONFIG']);
  if (file !== undefined)
    mergeTree(readConfigFile(file), [], `file ${file}`, tree, sources, problems);
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || !name.startsWith(ENV_PREFIX) || FOREIGN_ENV.test(name)) continue;
    const leaf = BY_ENV.get(name);
    if (leaf === undefined)
      problems.push(unknown(`environment variable ${name}`, name, [...BY_ENV.keys()]));
    else setLeaf(leaf, fromText(leaf, text), `env ${name}`, tree, sources);
  }
  for (const [path, value] of Object.entries(input.flags ?? {})) {
    if (value === undefined) continue;
    const leaf = BY_PATH.get(path);
    if (leaf === undefined) problems.push(unknown(`setting ${path}`, path, [...BY_PATH.keys()]));
    else
      setLeaf(
        leaf,
        typeof value === 'string' ? fromText(leaf, value) : value,
        `flag ${leaf.flag}`,
        tree,
        sources,
      );
  }
  if (problems.length > 0) throw invalid(problems);

  const result = configSchema.safeParse(tree);
  if (!result.success) throw invalid(result.error.issues.map((issue) => describe(issue, sources)));
  return { config: result.data, sources };
}

function readConfigFile(file: string): Tree {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new RelayError(
      'config-invalid',
      `cannot read the configuration file ${file}: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
  let value: unknown;
  try {
    value = parseYaml(text, { prettyErrors: true, uniqueKeys: true, maxAliasCount: 0 });
  } catch (error) {
    throw new RelayError(
      'config-invalid',
      `${file} is not valid YAML or JSON: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
  if (value === null || value === undefined) return {};
  if (!isTree(value))
    throw new RelayError(
      'config-invalid',
      `${file} must hold settings (a mapping), not ${typeof value}`,
    );
  return value;
}

function mergeTree(
  from: Tree,
  path: readonly string[],
  source: string,
  tree: Tree,
  sources: Map<string, string>,
  problems: string[],
): void {
  const here = path.join('.');
  for (const [key, value] of Object.entries(from)) {
    const full = [...path, key].join('.');
    const leaf = BY_PATH.get(full);
    if (leaf !== undefined) setLeaf(leaf, value ?? undefined, source, tree, sources);
    else if (!SECTIONS.has(full) || full === '') {
      problems.push(`${unknown(`setting ${full}`, full, known(here))} (in ${source})`);
    } else if (isTree(value)) mergeTree(value, [...path, key], source, tree, sources, problems);
    else if (value !== null)
      problems.push(`${full} must hold settings (a mapping), not ${typeof value} (in ${source})`);
  }
}

/** Known names beside an unknown one; the whole list helps when it only sits in the wrong section. */
function known(section: string): string[] {
  const prefix = section === '' ? '' : `${section}.`;
  const beside = [...BY_PATH.keys(), ...SECTIONS].filter(
    (path) => path.startsWith(prefix) && path !== '' && !path.slice(prefix.length).includes('.'),
  );
  return [...beside, ...BY_PATH.keys()];
}

function setLeaf(
  leaf: Leaf,
  value: unknown,
  source: string,
  tree: Tree,
  sources: Map<string, string>,
): void {
  const parts = leaf.path.split('.');
  const last = parts.pop() ?? '';
  let node = tree;
  for (const part of parts) node = (node[part] ??= {}) as Tree;
  if (value === undefined) {
    delete node[last];
    sources.delete(leaf.path);
    return;
  }
  node[last] = value;
  sources.set(leaf.path, source);
}

/** Text that cannot be read as the setting's type is left as it is: the schema then says what is wrong. */
function fromText(leaf: Leaf, text: string): unknown {
  const trimmed = text.trim();
  if (leaf.type === 'number') return /^[+-]?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : text;
  if (leaf.type === 'boolean') {
    if (/^(true|yes|on|1)$/i.test(trimmed)) return true;
    return /^(false|no|off|0)$/i.test(trimmed) ? false : text;
  }
  if (leaf.type === 'list') {
    return trimmed
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  }
  // An empty variable means "not set": container files cannot leave one out.
  return trimmed === '' ? undefined : text;
}

function describe(issue: z.core.$ZodIssue, sources: Sources): string {
  const path = issue.path.join('.');
  const leaf = [...BY_PATH.keys()].find((key) => path === key || path.startsWith(`${key}.`));
  const source = leaf === undefined ? undefined : sources.get(leaf);
  return `${path === '' ? 'configuration' : path}: ${issue.message}${source === undefined ? '' : ` (set by ${source})`}`;
}

function unknown(what: string, name: string, candidates: readonly string[]): string {
  const hint = nearest(name, candidates);
  return `unknown ${what}${hint === undefined ? '' : `; did you mean ${hint}?`}`;
}

function invalid(problems: readonly string[]): RelayError {
  const text =
    problems.length === 1
      ? problems[0]
      : `\n${problems.map((problem) => `  - ${problem}`).join('\n')}`;
  return new RelayError('config-invalid', `the configuration is not valid: ${text}`);
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text;
}
