import { CliError, EXIT } from '../cli-error.ts';

export function untrusted(url: URL, fault: string, cause: unknown): CliError {
  return new CliError(
    `The certificate of ${url.host} is not trusted (${fault}). If your relay has an authority of its own, name its file: burrow login --ca-file FILE, or BURROW_CA_FILE.`,
    EXIT.unreachable,
    { cause },
  );
}
