import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/**
 * Makes a self-signed certificate for `domain`, `*.domain` and 127.0.0.1, good
 * for two days. It is its own authority: trust it as a CA file.
 */
export async function selfSignedCertificate(folder: string, domain: string): Promise<Certificate> {
  const certFile = join(folder, `${domain}.crt`);
  const keyFile = join(folder, `${domain}.key`);
  await run('openssl', [
    ...['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    ...['-keyout', keyFile, '-out', certFile, '-days', '2', '-subj', `/CN=${domain}`],
    ...['-addext', `subjectAltName=DNS:${domain},DNS:*.${domain},IP:127.0.0.1`],
    ...['-addext', 'basicConstraints=critical,CA:TRUE'],
  ]);
  return { certFile, keyFile };
}
