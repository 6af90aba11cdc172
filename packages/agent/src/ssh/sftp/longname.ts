import type { Stats } from 'node:fs';
import type { AccountNames } from './accounts.ts';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const HALF_YEAR_MS = (365 * 24 * 60 * 60 * 1000) / 2;
const TYPES: Readonly<Record<number, string>> = {
  0o010000: 'p',
  0o020000: 'c',
  0o040000: 'd',
  0o060000: 'b',
  0o100000: '-',
  0o120000: 'l',
  0o140000: 's',
};

/** One line as `ls -l` writes it, in the very columns of OpenSSH's sftp-server, which clients take apart. */
export function longname(name: Buffer, stats: Stats, names: AccountNames, now: number): Buffer {
  const user = names.users.get(stats.uid) ?? String(stats.uid);
  const group = names.groups.get(stats.gid) ?? String(stats.gid);
  const columns = [
    `${modeText(stats.mode)} `,
    String(stats.nlink).padStart(3),
    user.padEnd(8),
    group.padEnd(8),
    String(stats.size).padStart(8),
    dateText(stats.mtime, now),
    '',
  ];
  return Buffer.concat([Buffer.from(columns.join(' ')), name]);
}

function modeText(mode: number): string {
  const bits = [6, 3, 0].map((shift, i) => {
    const three = mode >> shift;
    const special = (mode & (0o4000 >> i)) !== 0;
    const [on, off] = i === 2 ? ['t', 'T'] : ['s', 'S'];
    const run = (three & 1) !== 0;
    const last = special ? (run ? on : off) : run ? 'x' : '-';
    return `${(three & 4) === 0 ? '-' : 'r'}${(three & 2) === 0 ? '-' : 'w'}${last}`;
  });
  return `${TYPES[mode & 0o170000] ?? '?'}${bits.join('')}`;
}

function dateText(date: Date, now: number): string {
  const day = `${MONTHS[date.getMonth()]} ${String(date.getDate()).padStart(2)}`;
  const age = now - date.getTime();
  if (age < 0 || age >= HALF_YEAR_MS) return `${day}  ${date.getFullYear()}`;
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
