import { CliError, EXIT } from '../cli-error.ts';

/** OpenSSL's name for what is wrong with a certificate; undefined: it is something else. */
export function certificateFault(error: unknown): string | undefined {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    if (/^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_|HOSTNAME_MISMATCH)/.test(code)) {
      return code;
    }
  }
  return undefined;
}

export function untrusted(url: URL, fault: string, cause: unknown): CliError {
  return new CliError(
    `The certificate of ${url.host} is not trusted (${fault}). If your relay has an authority of its own, name its file: burrow login --ca-file FILE, or BURROW_CA_FILE.`,
    EXIT.unreachable,
    { cause },
  );
}
