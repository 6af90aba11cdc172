import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/project-node.mjs';
import type { Outcome } from './streams.ts';

/** Parts of files between two marks that a test run writes. */
const FILES = {
  measured: 'docs/reliability.md',
  rolling: 'docs/reliability.md',
  scale: 'docs/scaling.md',
} as const;

/**
 * With UPDATE_DOCS=1 these cells of that part's table are written anew; what other
 * test files wrote there stays.
 */
export function record(
  cell: string,
  outcomes: ReadonlyMap<string, Outcome | string>,
  part: keyof typeof FILES = 'measured',
): void {
  if (process.env['UPDATE_DOCS'] !== '1') return;
  const begin = `<!-- ${part}: begin -->`;
  const end = `<!-- ${part}: end -->`;
  const file = join(ROOT, FILES[part]);
  const before = readFileSync(file, 'utf8');
  const [head, rest] = before.split(begin);
  const [block, tail] = rest?.split(end) ?? [];
  if (head === undefined || block === undefined || tail === undefined) {
    throw new Error(`${file} has lost its marks of “${part}”`);
  }
  const rows = parse(block);
  const row = rows.get(cell) ?? new Map<string, string>();
  for (const [kind, outcome] of outcomes) row.set(kind, text(outcome));
  rows.set(cell, row);
  writeFileSync(file, `${head}${begin}\n\n${print(rows)}\n\n${end}${tail}`);
}

type Rows = Map<string, Map<string, string>>;

function parse(block: string): Rows {
  const lines = block.split('\n').filter((line) => line.startsWith('|'));
  const [head = [], , ...body] = lines.map((line) =>
    line
      .split('|')
      .map((field) => field.trim())
      .slice(1, -1),
  );
  return new Map(
    body.map(([name = '', ...fields]) => [
      name,
      new Map(fields.map((field, i) => [head[i + 1] ?? '', field])),
    ]),
  );
}

function print(rows: Rows): string {
  const kinds = [...new Set([...rows.values()].flatMap((each) => [...each.keys()]))];
  return [
    `| | ${kinds.join(' | ')} |`,
    `|---|${kinds.map(() => '---|').join('')}`,
    ...[...rows].map(
      ([name, each]) => `| ${name} | ${kinds.map((kind) => each.get(kind) ?? '').join(' | ')} |`,
    ),
  ].join('\n');
}

function text(outcome: Outcome | string): string {
  if (typeof outcome === 'string') return outcome.replaceAll('|', '/');
  if (outcome.whole) return `whole, stalled ${outcome.stallMs} ms`;
  return `ends: “${outcome.said.split(/\r?\n/)[0]!.replaceAll('|', '/')}”`;
}
