// Mutual TLS between relays: both show a certificate of the cluster's own authority.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import type { PeerTlsFiles } from './contracts.ts';
import { openOn, testRelay } from './testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'burrow-peer-tls-'));
const file = (name: string): string => join(folder, name);
after(() => rmSync(folder, { recursive: true }));

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

function authority(name: string): void {
  openssl(
    ...['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    ...['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`), '-days', '2'],
    ...['-subj', `/CN=${name}`],
  );
}

function member(name: string, by: string): PeerTlsFiles {
  openssl(
    ...['req', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    ...['-keyout', file(`${name}.key`), '-out', file(`${name}.csr`), '-subj', `/CN=${name}`],
  );
  writeFileSync(file(`${name}.ext`), 'subjectAltName=IP:127.0.0.1\n');
  openssl(
    ...['x509', '-req', '-in', file(`${name}.csr`), '-CA', file(`${by}.crt`)],
    ...['-CAkey', file(`${by}.key`), '-CAcreateserial', '-out', file(`${name}.crt`)],
    ...['-days', '2', '-extfile', file(`${name}.ext`)],
  );
  return { certFile: file(`${name}.crt`), keyFile: file(`${name}.key`), caFile: file(`${by}.crt`) };
}

let home: PeerTlsFiles;
let edge: PeerTlsFiles;
let stranger: PeerTlsFiles;
before(() => {
  authority('cluster');
  authority('elsewhere');
  home = member('home', 'cluster');
  edge = member('edge', 'cluster');
  stranger = member('stranger', 'elsewhere');
});

const listen = (tls: PeerTlsFiles | undefined) => ({ host: '127.0.0.1', port: 0, tls });

test('a channel passes between two relays that know each other by certificate', async (t) => {
  const one = await testRelay(t, 'edge', { listen: listen(edge) });
  const two = await testRelay(t, 'home', { listen: listen(home) });
  assert.match(two.info.peerUrl, /^https:/);
  await two.connectAgent('a1');
  const near = openOn(await one.link(two), { workload: 'a1' });
  await near.until((r) => r.opened);
  near.channel!.end();
  await two.atAgent[0]!.until((r) => r.ended);
  assert.equal((await one.peers.stats(two.info, AbortSignal.timeout(5_000))).peerLinks.in, 1);
});

test('a certificate of another authority opens nothing, in either direction', async (t) => {
  const one = await testRelay(t, 'edge', { listen: listen(stranger) });
  const two = await testRelay(t, 'home', { listen: listen(home) });
  await assert.rejects(one.link(two), /certificate|self-signed|issuer/i);
  await assert.rejects(two.link(one), /certificate|self-signed|issuer/i);
});

test('who shows no certificate, or another authority’s, is cut', async (t) => {
  const two = await testRelay(t, 'home', { listen: listen(home) });
  const { port } = new URL(two.info.peerUrl);
  const socket = connect({
    host: '127.0.0.1',
    port: Number(port),
    ca: readFileSync(home.caFile),
    ALPNProtocols: ['h2'],
  });
  const ended = Promise.withResolvers<Error>();
  socket.on('error', ended.resolve);
  assert.match((await ended.promise).message, /certificate required/i);
  const one = await testRelay(t, 'edge', {
    listen: listen({ ...stranger, caFile: home.caFile }),
  });
  await assert.rejects(one.link(two), /from the authority that it trusts/);
});

test('one side with TLS and one without say what is wrong', async (t) => {
  const plain = await testRelay(t, 'plain');
  const secure = await testRelay(t, 'secure', { listen: listen(home) });
  await assert.rejects(plain.link(secure), /speaks TLS, but this relay has no cluster\.peer\.tls/);
  await assert.rejects(secure.link(plain), /speaks no TLS, but this relay has cluster\.peer\.tls/);
});

test('files that cannot be used are told at the start', async (t) => {
  const broken = { ...home, caFile: file('nothing.crt') };
  await assert.rejects(testRelay(t, 'r', { listen: listen(broken) }), /cluster\.peer\.tls\.caFile/);
});
