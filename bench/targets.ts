import type { Report } from './scenario.ts';

export interface Verdict {
  readonly scenario: string;
  /** What is wanted, in words. */
  readonly target: string;
  /** What was measured, in the same words. */
  readonly measured: string;
  readonly met: boolean;
}

type Other = 'nginx' | 'caddy' | 'ssh-r' | 'direct';

/** Delay of the slow line there and back, ms. */
const ROUND_TRIP_MS = 100;

function atLeast(report: Report, scenario: string, factor: number, other: Other): Verdict[] {
  const row = report[scenario];
  const reference = row?.[other];
  if (row?.burrow === undefined || reference === undefined) return [];
  const ratio = row.burrow / reference;
  const measured = `${ratio.toFixed(2)} x ${other}`;
  return [{ scenario, target: `>= ${factor} x ${other}`, measured, met: ratio >= factor }];
}

/** A result that is a ratio already. */
function atLeastOf(report: Report, scenario: string, factor: number): Verdict[] {
  const row = report[scenario];
  if (row?.burrow === undefined) return [];
  const measured = `${row.burrow.toFixed(2)} ${row.unit}`;
  return [{ scenario, target: `>= ${factor} ${row.unit}`, measured, met: row.burrow >= factor }];
}

function atMost(
  scenario: string,
  value: number | undefined,
  limit: number,
  unit: string,
): Verdict[] {
  if (value === undefined) return [];
  const measured = `${value.toFixed(unit.startsWith('x ') ? 2 : 1)} ${unit}`;
  return [{ scenario, target: `<= ${limit} ${unit}`, measured, met: value <= limit }];
}

/** Everything that moves bytes or files over SSH: the more, the better. */
const SSH_BULK = [
  ...['download', 'upload', 'sftp-get', 'sftp-put', 'rsync-get', 'rsync-put'],
  ...['rsync-files', 'sftp-files-get', 'sftp-files-put'],
];

/** Memory of a process over that for a copy of a quarter of the size: what "flat" means. */
const FLAT = 1.25;

function sshTargets(report: Report): Verdict[] {
  const perWay = (way: 'gateway' | 'e2e', bulk: number): Verdict[] => {
    const connect = report[`ssh-${way}-connect`];
    return [
      ...SSH_BULK.flatMap((name) => atLeast(report, `ssh-${way}-${name}`, bulk, 'direct')),
      ...atMost(
        `ssh-${way}-connect`,
        connect?.burrow === undefined || connect.direct === undefined
          ? undefined
          : connect.burrow / connect.direct,
        2,
        'x direct',
      ),
      ...atMost(`ssh-${way}-keystroke-p99`, report[`ssh-${way}-keystroke-p99`]?.burrow, 20, 'ms'),
      ...['relay', 'agent'].flatMap((process) => {
        const quarter = report[`ssh-${way}-${process}-peak-quarter`]?.burrow;
        const whole = report[`ssh-${way}-${process}-peak-whole`]?.burrow;
        return atMost(
          `ssh-${way}-${process}-peak-whole`,
          quarter === undefined || whole === undefined ? undefined : whole / quarter,
          FLAT,
          'x a quarter’s',
        );
      }),
    ];
  };
  return [...perWay('gateway', 0.5), ...perWay('e2e', 0.7)];
}

/** The project's targets, for every scenario that was run. */
export function judge(report: Report): Verdict[] {
  const p50 = report['http-p50-c1'];
  const added =
    p50?.burrow === undefined || p50.direct === undefined ? undefined : p50.burrow - p50.direct;
  return [
    ...['http-rps-c32', 'http-rps-c1'].flatMap((name) => [
      ...atLeast(report, name, 0.6, 'nginx'),
      ...atLeast(report, name, 1.2, 'caddy'),
    ]),
    ...atMost('http-p50-c1', added, 200, 'µs added'),
    ...['download', 'upload'].flatMap((name) => [
      ...atLeast(report, name, 0.6, 'nginx'),
      ...atLeast(report, name, 1.2, 'ssh-r'),
    ]),
    ...atMost('idle-link-kb', report['idle-link-kb']?.burrow, 40, 'KB'),
    ...atMost('first-byte-ms', report['first-byte-ms']?.burrow, 500, 'ms'),
    ...atLeastOf(report, 'two-relays-rps-ratio', 0.6),
    ...atMost('two-relays-p50-added', report['two-relays-p50-added']?.burrow, 200, 'µs added'),
    ...atLeast(report, 'wan-download', 0.8, 'direct'),
    ...atMost('wan-keystroke-p99', report['wan-keystroke-p99']?.burrow, ROUND_TRIP_MS + 30, 'ms'),
    ...sshTargets(report),
  ];
}
