const CODES = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_|HOSTNAME_MISMATCH)/;

/** OpenSSL's name for what is wrong with a certificate, found along the causes; undefined: it is something else. */
export function certificateFault(error: unknown): string | undefined {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    if (CODES.test(code)) return code;
  }
  return undefined;
}
