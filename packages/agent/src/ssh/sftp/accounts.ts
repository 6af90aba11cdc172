import { readFile } from 'node:fs/promises';

/** Names of users and groups of the workload, by their numbers. */
export interface AccountNames {
  readonly users: ReadonlyMap<number, string>;
  readonly groups: ReadonlyMap<number, string>;
}

/** How long a look at /etc/passwd and /etc/group stays good. */
const KEEP_MS = 10_000;

let known: { readonly at: number; readonly names: Promise<AccountNames> } | undefined;

/** Of /etc/passwd and /etc/group; accounts kept elsewhere are shown as numbers. */
export function accountNames(): Promise<AccountNames> {
  const now = performance.now();
  if (known === undefined || now - known.at > KEEP_MS) known = { at: now, names: read() };
  return known.names;
}

async function read(): Promise<AccountNames> {
  const [users, groups] = await Promise.all([namesIn('/etc/passwd'), namesIn('/etc/group')]);
  return { users, groups };
}

async function namesIn(file: string): Promise<Map<number, string>> {
  const names = new Map<number, string>();
  for (const [name = '', , id = ''] of await lines(file)) {
    if (name !== '' && /^\d+$/.test(id) && !names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}

/** The home folder of a user. */
export async function homeOf(user: string): Promise<string | undefined> {
  const found = (await lines('/etc/passwd')).find(([name]) => name === user)?.[5];
  return found?.startsWith('/') === true ? found : undefined;
}

async function lines(file: string): Promise<string[][]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').map((line) => line.split(':'));
}
