import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { CliError, EXIT } from '../cli-error.ts';
import { print, printJson, table, tell } from '../output.ts';
import { apiOf, explained } from '../relay/api.ts';
import { readSettings } from '../settings/settings.ts';

const DAY_MS = 86_400_000;

export async function listKeys(json: boolean): Promise<void> {
  const keys = await explained(apiOf(readSettings()).user.keys());
  if (json) return printJson(keys);
  if (keys.length === 0) return tell('Your account has no SSH keys. Add one: burrow keys add FILE');
  process.stdout.write(
    table([
      ['ID', 'FINGERPRINT', 'EXPIRES', 'LAST USED', 'TITLE'],
      ...keys.map((key) => [
        key.id,
        key.fingerprint,
        key.expiresAt?.slice(0, 10) ?? 'never',
        key.lastUsedAt?.slice(0, 16).replace('T', ' ') ?? 'never',
        key.title,
      ]),
    ]),
  );
}

export async function addKey(
  file: string,
  options: { json?: boolean; title?: string; expiresInDays?: string },
): Promise<void> {
  const key = readKey(file);
  const comment = key.split(/\s+/).slice(2).join(' ');
  const days = options.expiresInDays === undefined ? undefined : Number(options.expiresInDays);
  if (days !== undefined && !(Number.isInteger(days) && days > 0)) {
    throw new CliError('--expires-in-days takes a whole number of days.', EXIT.usage);
  }
  const added = await explained(
    apiOf(readSettings()).user.addKey({
      title: options.title ?? (comment || (file === '-' ? 'key' : basename(file))),
      key,
      ...(days === undefined
        ? {}
        : { expiresAt: new Date(Date.now() + days * DAY_MS).toISOString() }),
    }),
  );
  if (options.json === true) return printJson(added);
  print(`Added ${added.fingerprint} (“${added.title}”).`);
}

export async function removeKey(wanted: string): Promise<void> {
  const api = apiOf(readSettings());
  const keys = await explained(api.user.keys());
  const found = keys.filter((key) => [key.id, key.fingerprint, key.title].includes(wanted));
  const [key] = found;
  if (key === undefined) {
    throw new CliError(
      `Your account has no key “${wanted}”. \`burrow keys list\` shows them.`,
      EXIT.notFound,
    );
  }
  if (found.length > 1) {
    throw new CliError(
      `${found.length} keys have the title “${wanted}”: name one by its id.`,
      EXIT.usage,
    );
  }
  await explained(api.user.removeKey(key.id));
  print(`Removed ${key.fingerprint} (“${key.title}”).`);
}

function readKey(file: string): string {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8').trim();
  } catch (error) {
    throw new CliError(`Cannot read ${file}: ${(error as Error).message}`, EXIT.usage);
  }
  // Before it leaves this machine.
  if (text.includes('PRIVATE KEY')) {
    throw new CliError(
      `${file} is a private key, which nobody else may see: name the .pub file.`,
      EXIT.usage,
    );
  }
  return text;
}
