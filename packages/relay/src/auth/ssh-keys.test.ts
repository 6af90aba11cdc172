import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { fingerprintOf, generateHostKey } from '@burrow/ssh';
import { createAuth } from './auth.ts';
import { AUTH_LIMITS } from './limits.ts';
import { testClock, testDatabase } from './testing.ts';

async function setUp() {
  const db = await testDatabase();
  const clock = testClock();
  const auth = createAuth({ db, clock });
  const olive = await auth.users.create('olive');
  const mallory = await auth.users.create('mallory');
  return { db, clock, auth, olive, mallory };
}

function newKey(): { line: string; fingerprint: string } {
  const { publicLine, fingerprint } = generateHostKey();
  return { line: publicLine, fingerprint };
}

test('a key is found by its fingerprint, the second time without a promise', async () => {
  const { auth, olive } = await setUp();
  const { line, fingerprint } = newKey();
  const added = await auth.keys.add(olive.userId, { title: 'laptop', key: `${line} o@laptop\n` });
  assert.equal(added.fingerprint, fingerprint);
  assert.equal(added.key, line);
  const expected = { keyId: added.id, principal: olive, expiresAt: Infinity };
  assert.deepEqual(await auth.keys.findByFingerprint(fingerprint), expected);
  assert.deepEqual(auth.keys.findByFingerprint(fingerprint), expected);
  assert.deepEqual(await auth.keys.list(olive.userId), [added]);
  assert.deepEqual(await auth.keys.find(added.id, olive.userId), added);
  assert.deepEqual(await auth.keys.fingerprintsOf(olive.userId), [fingerprint]);
});

test('a key that was removed is refused at once, and the version grows', async () => {
  const { auth, olive } = await setUp();
  const { line, fingerprint } = newKey();
  const { id } = await auth.keys.add(olive.userId, { title: 'x', key: line });
  await auth.keys.findByFingerprint(fingerprint);
  const before = auth.version;
  assert.equal((await auth.keys.remove(id, olive.userId))?.id, id);
  assert.ok(auth.version > before);
  assert.equal(await auth.keys.findByFingerprint(fingerprint), undefined);
  assert.equal(await auth.keys.remove(id, olive.userId), undefined);
});

test('a key ends at its time, even when remembered, and the version grows once', async () => {
  const { auth, olive, clock } = await setUp();
  const { line, fingerprint } = newKey();
  const expiresAt = clock.now() + 1000;
  await auth.keys.add(olive.userId, { title: 'x', key: line, expiresAt });
  assert.equal((await auth.keys.findByFingerprint(fingerprint))?.expiresAt, expiresAt);
  const before = auth.version;
  clock.advance(999);
  assert.equal(auth.version, before);
  clock.advance(1);
  const after = auth.version;
  assert.ok(after > before);
  assert.equal(auth.version, after);
  assert.equal(await auth.keys.findByFingerprint(fingerprint), undefined);
  assert.deepEqual(await auth.keys.fingerprintsOf(olive.userId), []);
  assert.equal(
    (await auth.keys.list(olive.userId)).length,
    1,
    'still listed, for its owner to see',
  );
});

test('the version grows when a token that was used reaches its end', async () => {
  const { auth, olive, clock } = await setUp();
  const { token } = await auth.tokens.create(olive.userId, 't', { expiresAt: clock.now() + 1000 });
  await auth.tokens.verify(token);
  const before = auth.version;
  clock.advance(1000);
  assert.ok(auth.version > before);
});

test('a key belongs to one account, and nobody is told whose it is', async () => {
  const { auth, olive, mallory } = await setUp();
  const { line } = newKey();
  await auth.keys.add(olive.userId, { title: 'x', key: line });
  const said = new Set<string>();
  for (const user of [olive, mallory]) {
    await assert.rejects(
      auth.keys.add(user.userId, { title: 'y', key: line }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'conflict');
        assert.doesNotMatch(error.message, /olive/);
        said.add(error.message);
        return true;
      },
    );
  }
  assert.equal(said.size, 1);
});

test('somebody else can neither see nor remove a key', async () => {
  const { auth, olive, mallory } = await setUp();
  const { line, fingerprint } = newKey();
  const { id } = await auth.keys.add(olive.userId, { title: 'x', key: line });
  assert.equal(await auth.keys.find(id, mallory.userId), undefined);
  assert.equal(await auth.keys.remove(id, mallory.userId), undefined);
  assert.deepEqual(await auth.keys.list(mallory.userId), []);
  assert.deepEqual((await auth.keys.findByFingerprint(fingerprint))?.principal, olive);
});

test('a person has at most 50 keys', async () => {
  const { auth, olive, mallory } = await setUp();
  for (let i = 0; i < AUTH_LIMITS.sshKeys; i += 1) {
    await auth.keys.add(olive.userId, { title: 'x', key: newKey().line });
  }
  const another = { title: 'x', key: newKey().line };
  await assert.rejects(auth.keys.add(olive.userId, another), { code: 'forbidden' });
  await auth.keys.add(mallory.userId, another);
});

for (const [what, key, says] of [
  ['nothing', '', /one line such as/],
  ['a private key', generateHostKey().privateKey, /private key: keep it secret/],
  ['a short RSA key', rsaLine(1024), /at least 2048 bits/],
  ['a DSA key', 'ssh-dss AAAAB3NzaC1kc3MAAACB', /no longer safe/],
  ['options before it', `command="sh" ${newKey().line}`, /one line such as/],
  ['two keys', `${newKey().line}\n${newKey().line}`, /one key/],
  ['half a key', newKey().line.slice(0, 40), /damaged/],
] as const) {
  test(`${what} is refused with a sentence`, async () => {
    const { auth, olive } = await setUp();
    await assert.rejects(auth.keys.add(olive.userId, { title: 'x', key }), {
      code: 'bad-request',
      message: says,
    });
  });
}

test('the last use is kept to the minute', async () => {
  const { auth, olive, clock } = await setUp();
  const { id } = await auth.keys.add(olive.userId, { title: 'x', key: newKey().line });
  const lastUse = async () => (await auth.keys.find(id, olive.userId))?.lastUsedAt;
  assert.equal(await lastUse(), undefined);
  await auth.keys.used(id);
  const first = clock.now();
  clock.advance(AUTH_LIMITS.keyUseMs - 1);
  await auth.keys.used(id);
  assert.equal(await lastUse(), first);
  clock.advance(1);
  await auth.keys.used(id);
  assert.equal(await lastUse(), clock.now());
});

test('what is no fingerprint is not looked up', async () => {
  const { auth, db } = await setUp();
  await db.destroy();
  for (const text of ['', 'SHA256:', 'MD5:aa:bb', `SHA256:${'a'.repeat(44)}`]) {
    assert.equal(auth.keys.findByFingerprint(text), undefined);
  }
});

/** `ssh-rsa` of RFC 4253 6.6: string type, mpint e, mpint n. */
function rsaLine(bits: number): string {
  const { n = '', e = '' } = generateKeyPairSync('rsa', { modulusLength: bits }).publicKey.export({
    format: 'jwk',
  });
  const string = (bytes: Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const mpint = (text: string): Buffer =>
    string(Buffer.concat([Buffer.of(0), Buffer.from(text, 'base64url')]));
  const exponent = string(Buffer.from(e, 'base64url'));
  const blob = Buffer.concat([string(Buffer.from('ssh-rsa')), exponent, mpint(n)]);
  assert.match(fingerprintOf(blob), /^SHA256:/);
  return `ssh-rsa ${blob.toString('base64')}`;
}
