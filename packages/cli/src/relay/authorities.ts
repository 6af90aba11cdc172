import { readFileSync } from 'node:fs';
import { CliError, EXIT } from '../cli-error.ts';

/** PEM of the further authorities; undefined: only the system's. Throws CliError. */
export function readCa(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    const text = readFileSync(file, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  } catch (error) {
    throw new CliError(`Cannot read the CA file ${file}: ${(error as Error).message}`, EXIT.usage, {
      cause: error,
    });
  }
  throw new CliError(`The CA file ${file} holds no certificate in PEM form.`, EXIT.usage);
}
