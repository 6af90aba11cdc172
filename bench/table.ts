import { SYSTEM_NAMES, type Report } from './scenario.ts';
import type { Verdict } from './targets.ts';

function lines(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function number(value: number | undefined): string {
  if (value === undefined) return '-';
  const digits = value >= 1000 ? 0 : value >= 100 ? 1 : 2;
  return value.toFixed(digits);
}

/** Medians of all systems, Burrow's ratio to each, and the verdict on each target. */
export function format(report: Report, verdicts: readonly Verdict[]): string {
  const others = SYSTEM_NAMES.filter((name) => name !== 'burrow');
  const head = ['scenario', 'unit', ...SYSTEM_NAMES, ...others.map((name) => `/${name}`)];
  const rows = Object.entries(report).map(([scenario, row]) => [
    scenario,
    row.unit,
    ...SYSTEM_NAMES.map((name) => number(row[name])),
    ...others.map((name) => {
      const other = row[name];
      return row.burrow === undefined || other === undefined
        ? '-'
        : (row.burrow / other).toFixed(2);
    }),
  ]);
  const judged = verdicts.map((verdict) => [
    verdict.scenario,
    verdict.target,
    verdict.measured,
    verdict.met ? 'met' : 'NOT MET',
  ]);
  return `${lines([head, ...rows])}\n\n${lines([['target', 'wanted', 'measured', ''], ...judged])}`;
}
