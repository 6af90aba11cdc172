import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Principal } from '../auth/principal.ts';
import type { Proof } from './authority.ts';
import { relayAuthority, type AuthorityDeps, type SshEvent } from './relay-authority.ts';
import { SignIns } from './sign-ins.ts';

const ANN: Principal = { userId: 'ann-id', username: 'ann', admin: false };
const ORIGIN = { address: '192.0.2.1', software: 'OpenSSH_9.2', asked: 'demo' };

function setUp(attemptsLeft: number) {
  const events: SshEvent[] = [];
  const attempts = {
    left: attemptsLeft,
    fullAim: 'none' as string | undefined,
    remembered: [] as string[],
  };
  const deps = {
    now: () => 0,
    attempts: {
      take: async (_address: string, aim?: string) => {
        if (aim === attempts.fullAim) return { seconds: 6, counted: 'aim' };
        if (attempts.left === 0) return { seconds: 30, counted: 'address' };
        attempts.left -= 1;
        return undefined;
      },
      giveBack: () => void (attempts.left += 1),
      failed: async () => {},
      remember: async (address: string) => void attempts.remembered.push(address),
      forgive: async () => void (attempts.left += 1),
    },
    approvals: {
      begin: async () => ({ approval: 'a', url: 'http://relay/', userCode: 'ABCD-EFGH' }),
      wait: async () => ANN,
    },
    keyOwner: async () => ANN,
    keyUsed: () => {},
    tokenOwner: async (token: string) => (token === 'good' ? ANN : undefined),
    audit: (event: SshEvent) => events.push(event),
  } as unknown as AuthorityDeps;
  return { authority: relayAuthority(deps, new SignIns(() => 0)), attempts, events };
}

test('only what fails counts against an address', async () => {
  const { authority, attempts } = setUp(2);
  for (let i = 0; i < 5; i += 1) {
    const begun = await authority.beginApproval(ORIGIN);
    assert.ok(begun, `link ${i}`);
    assert.ok(await authority.awaitApproval(begun.approval));
    const person = await authority.signIn({ kind: 'approval', approval: begun.approval }, ORIGIN);
    assert.ok(person !== undefined && 'username' in person);
    await authority.signIn({ kind: 'token', token: 'good' }, ORIGIN);
  }
  assert.equal(attempts.left, 2);
  await authority.signIn({ kind: 'token', token: 'bad' }, ORIGIN);
  await authority.signIn({ kind: 'token', token: 'bad' }, ORIGIN);
  assert.deepEqual(await authority.signIn({ kind: 'token', token: 'good' }, ORIGIN), {
    wait: { seconds: 30, counted: 'address' },
  });
  assert.equal(await authority.beginApproval(ORIGIN), undefined);
  // A signature cannot be guessed.
  const byKey = await authority.signIn({ kind: 'key', fingerprint: 'SHA256:x' }, ORIGIN);
  assert.ok(byKey !== undefined && 'username' in byKey);
});

test('where failures at a workspace are too many, tokens wait; keys and links do not', async () => {
  const { authority, attempts } = setUp(5);
  attempts.fullAim = 'workspace:demo';
  for (const asked of ['demo', 'Demo.burrow']) {
    const answer = await authority.signIn({ kind: 'token', token: 'good' }, { ...ORIGIN, asked });
    assert.deepEqual(answer, { wait: { seconds: 6, counted: 'aim' } });
  }
  const by = async (proof: Proof, asked = 'demo') => {
    const person = await authority.signIn(proof, { ...ORIGIN, asked });
    return person !== undefined && 'username' in person;
  };
  const token = { kind: 'token', token: 'good' } as const;
  assert.ok(await by(token, 'other'));
  assert.ok(await by(token, 'burrow'), 'the relay itself is no workspace');
  assert.ok(await by({ kind: 'key', fingerprint: 'SHA256:x' }));
  const begun = await authority.beginApproval(ORIGIN);
  assert.ok(begun && (await authority.awaitApproval(begun.approval)));
  assert.ok(await by({ kind: 'approval', approval: begun.approval }));
  assert.equal(attempts.remembered.length, 4);
});

test('a workload that was not reached is in the audit', async () => {
  const { authority, events } = setUp(1);
  const person = await authority.signIn({ kind: 'key', fingerprint: 'SHA256:x' }, ORIGIN);
  assert.ok(person !== undefined && 'id' in person);
  await authority.failed(person.id, 'demo', 'its SSH server hung up.');
  const { action, outcome, username, workspace, detail } = events.at(-1) ?? assert.fail();
  assert.deepEqual(
    [action, outcome, username, workspace, detail],
    ['ssh.session-opened', 'failed', 'ann', 'demo', 'its SSH server hung up.'],
  );
});
