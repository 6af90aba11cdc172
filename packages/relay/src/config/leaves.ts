import { z } from 'zod';
import { configSchema } from './schema.ts';

/** One setting: a path into the configuration, and how to read its text form. */
export interface Leaf {
  /** `listen.port` */
  readonly path: string;
  /** `BURROW_RELAY_LISTEN__PORT` */
  readonly env: string;
  /** `--listen-port` */
  readonly flag: string;
  readonly type: 'string' | 'number' | 'boolean' | 'list';
  readonly description: string;
  readonly secret: boolean;
  readonly choices: readonly string[] | undefined;
}

interface AnyDef {
  readonly type: string;
  readonly innerType?: z.core.$ZodType;
}

interface Unwrapped {
  readonly type: z.core.$ZodType;
  readonly description: string;
  readonly secret: boolean;
}

function unwrap(start: z.core.$ZodType): Unwrapped {
  let type = start;
  let description = '';
  let secret = false;
  for (;;) {
    const meta = z.globalRegistry.get(type);
    if (description === '' && typeof meta?.description === 'string') description = meta.description;
    if (meta?.['secret'] === true) secret = true;
    const inner = (type._zod.def as AnyDef).innerType;
    if (inner === undefined) return { type, description, secret };
    type = inner;
  }
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter}`);

function walk(type: z.core.$ZodType, path: readonly string[], out: Leaf[]): void {
  const { type: inner, description, secret } = unwrap(type);
  if (inner instanceof z.ZodObject) {
    for (const [key, value] of Object.entries(inner.shape as Record<string, z.core.$ZodType>)) {
      walk(value, [...path, key], out);
    }
    return;
  }
  const kind = (inner._zod.def as AnyDef).type;
  out.push({
    path: path.join('.'),
    env: `BURROW_RELAY_${path.map((part) => snake(part).toUpperCase()).join('__')}`,
    flag: `--${path.map((part) => snake(part).toLowerCase().replaceAll('_', '-')).join('-')}`,
    type: kind === 'number' || kind === 'boolean' ? kind : kind === 'array' ? 'list' : 'string',
    description,
    secret,
    choices: inner instanceof z.ZodEnum ? inner.options.map(String) : undefined,
  });
}

function collect(): readonly Leaf[] {
  const out: Leaf[] = [];
  walk(configSchema, [], out);
  return out;
}

/** Every setting, in the order of the schema. */
export const LEAVES: readonly Leaf[] = collect();
