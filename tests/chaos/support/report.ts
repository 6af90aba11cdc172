import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/project-node.mjs';
import type { Outcome } from './streams.ts';

const FILE = join(ROOT, 'docs/reliability.md');
const BEGIN = '<!-- measured: begin -->';
const END = '<!-- measured: end -->';

const rows = new Map<string, Map<string, Outcome>>();

/** With UPDATE_DOCS=1 the table of docs/reliability.md is written anew after each cell. */
export function record(cell: string, outcomes: Map<string, Outcome>): void {
  rows.set(cell, outcomes);
  if (process.env['UPDATE_DOCS'] !== '1') return;
  const kinds = [...new Set([...rows.values()].flatMap((each) => [...each.keys()]))];
  const table = [
    `| | ${kinds.join(' | ')} |`,
    `|---|${kinds.map(() => '---|').join('')}`,
    ...[...rows].map(
      ([name, each]) => `| ${name} | ${kinds.map((kind) => text(each.get(kind))).join(' | ')} |`,
    ),
  ].join('\n');
  const before = readFileSync(FILE, 'utf8');
  const [head, rest] = before.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`${FILE} has lost its marks`);
  writeFileSync(FILE, `${head}${BEGIN}\n\n${table}\n\n${END}${tail}`);
}

function text(outcome: Outcome | undefined): string {
  if (outcome === undefined) return '';
  if (outcome.whole) return `whole, stalled ${outcome.stallMs} ms`;
  return `ends: “${outcome.said.split('\n')[0]!.replaceAll('|', '/')}”`;
}
