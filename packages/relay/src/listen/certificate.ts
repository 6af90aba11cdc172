import { createHash } from 'node:crypto';
import { watch, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createSecureContext } from 'node:tls';
import { RelayError } from '../errors.ts';

export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface CertificateOptions {
  readonly certFile: string;
  readonly keyFile: string;
  /** New files that can be used. */
  readonly onChange: (certificate: Certificate) => void;
  /** New files that cannot; the old ones stay in use. Told once for each content. */
  readonly onError: (error: Error) => void;
  /** Poll between file events: they are lost on network file systems. ms. */
  readonly pollMs?: number;
  /** Editors and Kubernetes write in several steps: wait this long after the last event. ms. */
  readonly settleMs?: number;
}

export interface WatchedCertificate {
  readonly initial: Certificate;
  /** Looks now. For tests and SIGHUP. */
  check(): Promise<void>;
  close(): void;
}

/** Reads and checks a certificate, then watches its files. Rejects with RelayError `config-invalid` when it cannot be used. */
export async function watchCertificate(options: CertificateOptions): Promise<WatchedCertificate> {
  const read = async (): Promise<Certificate> => {
    const [cert, key] = await Promise.all([readFile(options.certFile), readFile(options.keyFile)]);
    // Throws when either is not PEM or the two do not belong together.
    createSecureContext({ cert, key });
    return { cert, key };
  };
  let initial: Certificate;
  try {
    initial = await read();
  } catch (error) {
    throw new RelayError(
      'config-invalid',
      `cannot use the TLS certificate ${options.certFile} with key ${options.keyFile}: ${(error as Error).message}`,
      { cause: error },
    );
  }

  let current = fingerprint(initial);
  let lastProblem = '';
  let closed = false;
  let running: Promise<void> | undefined;

  const look = async (): Promise<void> => {
    try {
      const next = await read();
      if (closed) return;
      lastProblem = '';
      const print = fingerprint(next);
      if (print === current) return;
      current = print;
      options.onChange(next);
    } catch (error) {
      const problem = (error as Error).message;
      if (closed || problem === lastProblem) return;
      lastProblem = problem;
      options.onError(error as Error);
    }
  };
  const check = (): Promise<void> => {
    running ??= look().finally(() => (running = undefined));
    return running;
  };

  let settle: NodeJS.Timeout | undefined;
  const soon = (): void => {
    clearTimeout(settle);
    settle = setTimeout(() => void check(), options.settleMs ?? 100);
    settle.unref();
  };
  // Folders, not files: a file that is replaced by renaming keeps no watcher.
  const watchers: FSWatcher[] = [];
  for (const folder of new Set([dirname(options.certFile), dirname(options.keyFile)])) {
    try {
      const watcher = watch(folder, { persistent: false }, soon);
      watcher.on('error', () => watcher.close());
      watchers.push(watcher);
    } catch {
      // No file events here: polling finds the change.
    }
  }
  const poll = setInterval(() => void check(), options.pollMs ?? 60_000);
  poll.unref();

  return {
    initial,
    check,
    close() {
      closed = true;
      clearInterval(poll);
      clearTimeout(settle);
      for (const watcher of watchers) watcher.close();
    },
  };
}

function fingerprint(certificate: Certificate): string {
  return createHash('sha256')
    .update(certificate.cert)
    .update('\0')
    .update(certificate.key)
    .digest('base64');
}
