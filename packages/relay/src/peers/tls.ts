import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { RelayError } from '../errors.ts';
import { watchCertificate } from '../listen/certificate.ts';
import type { PeersLog, PeerTlsFiles } from './contracts.ts';

/** One side's proof in mutual TLS, and whom it believes. */
export interface PeerCertificate {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
}

export interface PeerTls {
  /** As of now: files that change are read again. */
  readonly current: PeerCertificate;
  onChange(listener: (certificate: PeerCertificate) => void): void;
  close(): void;
}

/** Rejects with RelayError `config-invalid` when the files cannot be used. */
export async function openPeerTls(files: PeerTlsFiles, log: PeersLog): Promise<PeerTls> {
  const listeners: ((certificate: PeerCertificate) => void)[] = [];
  const ca = await readAuthority(files.caFile);
  const watched = await watchCertificate({
    ...files,
    onChange(certificate) {
      void renew(certificate);
    },
    onError: (error) =>
      log.error(
        { file: files.certFile, error: error.message },
        'the new certificate of the peer port cannot be used; the old one stays',
      ),
  });
  let current: PeerCertificate = { ...watched.initial, ca };

  async function renew(pair: { cert: Buffer; key: Buffer }): Promise<void> {
    try {
      current = { ...pair, ca: await readAuthority(files.caFile) };
    } catch (error) {
      log.error({ error: (error as Error).message }, 'the authority of the peer port is kept');
      current = { ...pair, ca: current.ca };
    }
    for (const listener of listeners) listener(current);
    log.info({ file: files.certFile }, 'the peer port has a new certificate');
  }

  return {
    get current() {
      return current;
    },
    onChange: (listener) => void listeners.push(listener),
    close: () => watched.close(),
  };
}

async function readAuthority(file: string): Promise<Buffer> {
  try {
    const ca = await readFile(file);
    createSecureContext({ ca });
    return ca;
  } catch (error) {
    throw new RelayError(
      'config-invalid',
      `cannot use cluster.peer.tls.caFile ${file}: ${(error as Error).message}`,
      { cause: error },
    );
  }
}
