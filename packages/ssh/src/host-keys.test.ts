import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import ssh2, { type Connection } from 'ssh2';
import { generateHostKey } from './host-key.ts';
import { announcedKeys, announceHostKeys, hostKeysProof } from './host-keys.ts';
import { MESSAGE, sshString } from './messages.ts';

const NAME = 'hostkeys-prove-00@openssh.com';
const sessionID = Buffer.from('the session');
const connection = { _protocol: { _kex: { sessionID } } } as unknown as Connection;
const keys = [generateHostKey(), generateHostKey()];
const announced = announcedKeys(keys);
const blobs = keys.map(({ publicLine }) => Buffer.from(publicLine.split(' ')[1] ?? '', 'base64'));

const ask = (...parts: readonly Uint8Array[]): Buffer =>
  Buffer.concat([
    Buffer.from([MESSAGE.GLOBAL_REQUEST]),
    sshString(NAME),
    Buffer.from([1]),
    ...parts.map((part) => sshString(part)),
  ]);
const failure = Buffer.from([MESSAGE.REQUEST_FAILURE]);

test('each key that is asked for is proved, for this session and no other', () => {
  const reply = hostKeysProof(connection, ask(...blobs), announced);
  assert.equal(reply?.[0], MESSAGE.REQUEST_SUCCESS);
  let at = 1;
  for (const [index, key] of keys.entries()) {
    const length = reply.readUInt32BE(at);
    const signature = reply.subarray(at + 4, at + 4 + length);
    at += 4 + length;
    const type = sshString('ssh-ed25519');
    assert.deepEqual(signature.subarray(0, type.length), type);
    const signed = Buffer.concat([
      sshString(NAME),
      sshString(sessionID),
      sshString(blobs[index] ?? ''),
    ]);
    const parsed = ssh2.utils.parseKey(key.publicLine);
    const publicKey = Array.isArray(parsed) ? parsed[0] : parsed;
    assert.ok(publicKey !== undefined && !(publicKey instanceof Error));
    assert.equal(publicKey.verify(signed, signature.subarray(type.length + 4)), true);
  }
  assert.equal(at, reply.length);
});

test('other keys, too many, and what is cut short are refused; other messages are left alone', () => {
  const other = Buffer.from(generateHostKey().publicLine.split(' ')[1] ?? '', 'base64');
  assert.deepEqual(hostKeysProof(connection, ask(other), announced), failure);
  assert.deepEqual(
    hostKeysProof(connection, ask(...Array.from({ length: 17 }, () => blobs[0]!)), announced),
    failure,
  );
  const whole = ask(...blobs);
  for (let length = whole.length - 1; length > ask().length; length -= 1) {
    if (length === ask(blobs[0]!).length) continue;
    assert.deepEqual(hostKeysProof(connection, whole.subarray(0, length), announced), failure);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.equal(hostKeysProof(connection, Buffer.from(bytes), announced), undefined);
      const reply = hostKeysProof(connection, Buffer.concat([ask(), bytes]), announced);
      assert.ok(reply !== undefined);
    }),
  );
});

test('of keys that cannot all be announced, none is', () => {
  assert.equal(announced.length, 2);
  const rsa = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 }).private;
  assert.deepEqual(announcedKeys([keys[0]!, { privateKey: rsa }]), []);
  // Sends nothing: the stand-in could not.
  announceHostKeys(connection, []);
});
