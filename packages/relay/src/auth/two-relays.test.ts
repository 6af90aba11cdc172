// Two relays on one database: what one does, the other knows.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { generateHostKey } from '@burrow/ssh';
import { ChangeFeed } from '../changes/feed.ts';
import { openSharedTestDatabase } from '../db/testing.ts';
import { createAuth, type Auth } from './auth.ts';
import { AUTH_LIMITS } from './limits.ts';
import type { Principal } from './principal.ts';
import type { Aim } from './shared-attempts.ts';
import { testClock } from './testing.ts';

interface Relay {
  readonly auth: Auth;
  readonly feed: ChangeFeed;
}

async function two(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'burrow-auth-'));
  const open = await openSharedTestDatabase(join(folder, 'relay.sqlite'));
  const databases = [await open(), await open()];
  t.after(async () => {
    await Promise.all(databases.map((each) => each.close()));
    rmSync(folder, { recursive: true });
  });
  const clock = testClock();
  const relays = databases.map(({ kysely: db }): Relay => {
    const changes = new ChangeFeed(db, (error) => assert.fail(error as Error));
    return { auth: createAuth({ db, clock, changes }), feed: changes };
  });
  const [here, there] = relays as [Relay, Relay];
  const admin = await here.auth.users.ensureLocalAdmin();
  return { here, there, admin, clock };
}

const CASES: readonly {
  readonly what: string;
  /** Resolves with how to ask whether it is good, and how to take it away. */
  readonly make: (
    auth: Auth,
    admin: Principal,
  ) => Promise<{
    good: (auth: Auth) => unknown;
    revoke: (auth: Auth) => unknown;
  }>;
}[] = [
  {
    what: 'an access token',
    async make(auth, admin) {
      const { token, id } = await auth.tokens.create(admin.userId, 'x');
      return {
        good: (each) => each.tokens.verify(token),
        revoke: (each) => each.tokens.revoke(id),
      };
    },
  },
  {
    what: 'an access token that is replaced',
    async make(auth, admin) {
      const { token } = await auth.tokens.create(admin.userId, 'x');
      return {
        good: (each) => each.tokens.verify(token),
        revoke: (each) => each.tokens.replaceByName(admin.userId, 'x'),
      };
    },
  },
  {
    what: 'an SSH key',
    async make(auth, admin) {
      const { publicLine: key, fingerprint } = generateHostKey();
      const { id } = await auth.keys.add(admin.userId, { title: 'x', key });
      return {
        good: (each) => each.keys.findByFingerprint(fingerprint),
        revoke: (each) => each.keys.remove(id, admin.userId),
      };
    },
  },
  {
    what: 'a session of the control host',
    async make(auth, admin) {
      const { secret, id } = await auth.sessions.createControl(admin.userId);
      return {
        good: (each) => each.sessions.verifyControl(secret),
        revoke: (each) => each.sessions.revoke(id),
      };
    },
  },
  {
    what: 'a session of an app host, with the one that it came from',
    async make(auth, admin) {
      const parent = await auth.sessions.createControl(admin.userId);
      const host = 'demo.localhost';
      const made = await auth.sessions.createApp({
        userId: admin.userId,
        parentId: parent.id,
        host,
      });
      return {
        good: (each) => each.sessions.verifyApp(made!.secret, host),
        revoke: (each) => each.sessions.revoke(parent.id),
      };
    },
  },
  {
    what: 'all sessions of a person',
    async make(auth, admin) {
      const { secret } = await auth.sessions.createControl(admin.userId);
      return {
        good: (each) => each.sessions.verifyControl(secret),
        revoke: (each) => each.sessions.revokeUser(admin.userId),
      };
    },
  },
];

for (const { what, make } of CASES) {
  test(`${what}: good on both relays, and on neither once one took it away`, async (t) => {
    const { here, there, admin } = await two(t);
    const { good, revoke } = await make(here.auth, admin);
    assert.ok(await good(here.auth));
    assert.ok(await good(there.auth));
    const before = there.auth.version;
    await revoke(here.auth);
    // No clock moves: what is remembered for seconds must be forgotten at the next look.
    await there.feed.poll();
    assert.equal(await good(there.auth), undefined);
    assert.ok(there.auth.version > before, 'what lives on it is looked at again');
    const after = there.auth.version;
    await there.feed.poll();
    assert.equal(there.auth.version, after, 'and only once');
  });
}

test('a hand-over code works on the other relay, and once in all', async (t) => {
  const { here, there, admin } = await two(t);
  const { id: sessionId } = await here.auth.sessions.createControl(admin.userId);
  const nonce = 'n'.repeat(43);
  const { hashSecret } = await import('./secrets.ts');
  const host = 'demo.localhost';
  for (let i = 0; i < 10; i += 1) {
    const code = await here.auth.handOver.create({
      userId: admin.userId,
      sessionId,
      host,
      challenge: hashSecret(nonce),
      returnTo: '/',
    });
    const redeemed = await Promise.all(
      [here, there, there, here].map(({ auth }) =>
        auth.handOver.redeem({ code, host, nonces: [nonce] }),
      ),
    );
    assert.equal(redeemed.filter(({ kind }) => kind === 'ok').length, 1);
  }
});

test('failed sign-ins count over both relays, and are forgiven on both', async (t) => {
  const { here, there, clock } = await two(t);
  const address = '192.0.2.1';
  for (let i = 0; i < AUTH_LIMITS.attempts; i += 1) {
    const { attempts } = (i % 2 === 0 ? here : there).auth;
    assert.equal(await attempts.take(address), undefined, `attempt ${i}`);
    await attempts.failed(address);
  }
  const wait = { seconds: AUTH_LIMITS.attemptRefillMs / 1000, counted: 'address' };
  assert.deepEqual(await here.auth.attempts.take(address), wait);
  assert.deepEqual(await there.auth.attempts.take(address), wait);
  assert.equal(await there.auth.attempts.take('192.0.2.2'), undefined, 'others do not wait');
  clock.advance(AUTH_LIMITS.attemptRefillMs);
  assert.equal(await there.auth.attempts.take(address), undefined);
  await there.auth.attempts.failed(address);
  assert.deepEqual(await here.auth.attempts.take(address), wait);
  await there.auth.attempts.forgive(address);
  assert.equal(await here.auth.attempts.take(address), undefined);
});

test('what succeeds writes nothing and counts nowhere', async (t) => {
  const { here, there } = await two(t);
  for (let i = 0; i < 3 * AUTH_LIMITS.attempts; i += 1) {
    const { attempts } = (i % 2 === 0 ? here : there).auth;
    assert.equal(await attempts.take('192.0.2.1'), undefined);
    attempts.giveBack('192.0.2.1');
  }
});

test('a clock that is far ahead locks nobody out for longer than a full count', async (t) => {
  const { here, there, clock } = await two(t);
  clock.advance(600_000);
  await there.auth.attempts.take('192.0.2.1');
  await there.auth.attempts.failed('192.0.2.1');
  clock.advance(-600_000);
  const wait = await here.auth.attempts.take('192.0.2.1');
  assert.ok((wait?.seconds ?? 0) <= AUTH_LIMITS.attemptRefillMs / 1000, String(wait?.seconds));
});

/** Failures at one workspace from as many addresses as it takes, by turns over both relays. */
async function fillAim({ here, there }: { here: Relay; there: Relay }, aim: Aim): Promise<void> {
  for (let i = 0; i < AUTH_LIMITS.aimAttempts; i += 1) {
    const { attempts } = (i % 2 === 0 ? here : there).auth;
    const address = `198.51.100.${i}`;
    assert.equal(await attempts.take(address, aim), undefined, `attempt ${i}`);
    await attempts.failed(address, aim);
  }
}

const AIM_WAIT = { seconds: AUTH_LIMITS.aimRefillMs / 1000, counted: 'aim' };

test('failures at one workspace count over all addresses and both relays', async (t) => {
  const { here, there, clock } = await two(t);
  await fillAim({ here, there }, 'workspace:demo');
  for (const { auth } of [here, there]) {
    assert.deepEqual(await auth.attempts.take('192.0.2.1', 'workspace:demo'), AIM_WAIT);
    assert.equal(await auth.attempts.take('192.0.2.1', 'workspace:other'), undefined);
    assert.equal(await auth.attempts.take('192.0.2.1'), undefined, 'asks for no workspace');
  }
  clock.advance(AUTH_LIMITS.aimRefillMs);
  assert.equal(await here.auth.attempts.take('192.0.2.1', 'workspace:demo'), undefined);
  await here.auth.attempts.failed('192.0.2.1', 'workspace:demo');
  assert.deepEqual(await there.auth.attempts.take('192.0.2.2', 'workspace:demo'), AIM_WAIT);
  clock.advance(AUTH_LIMITS.aimAttempts * AUTH_LIMITS.aimRefillMs);
  await here.auth.sweep();
  await fillAim({ here, there }, 'workspace:demo');
});

test('waiting for what others did at a workspace costs an address none of its own tries', async (t) => {
  const { here, there } = await two(t);
  await fillAim({ here, there }, 'workspace:demo');
  for (let i = 0; i < 2 * AUTH_LIMITS.attempts; i += 1) {
    assert.deepEqual(await here.auth.attempts.take('192.0.2.1', 'workspace:demo'), AIM_WAIT);
  }
  assert.equal(await here.auth.attempts.take('192.0.2.1'), undefined);
});

test('where somebody signed in before, strangers elsewhere keep nobody out', async (t) => {
  const { here, there, clock } = await two(t);
  await here.auth.attempts.remember('2001:db8::1');
  await fillAim({ here, there }, 'workspace:demo');
  const take = (address: string) => there.auth.attempts.take(address, 'workspace:demo');
  // Its own failures still count.
  for (let i = 0; i < AUTH_LIMITS.attempts; i += 1) {
    assert.equal(await take('2001:db8::2'), undefined);
    await there.auth.attempts.failed('2001:db8::2', 'workspace:demo');
  }
  assert.equal((await take('2001:db8::2'))?.counted, 'address');
  clock.advance(AUTH_LIMITS.knownAddressMs);
  await here.auth.sweep();
  await fillAim({ here, there }, 'workspace:demo');
  assert.deepEqual(await take('2001:db8::1'), AIM_WAIT, 'it is known for a while only');
});

test('who passes because they were there before makes no room for strangers by signing in', async (t) => {
  const { here } = await two(t);
  const { attempts } = here.auth;
  const aim = 'workspace:demo';
  await attempts.remember('192.0.2.1');
  // Under way, so that this relay alone knows of them.
  for (let i = 0; i < AUTH_LIMITS.aimAttempts; i += 1) {
    assert.equal(await attempts.take(`198.51.100.${i}`, aim), undefined);
  }
  for (let i = 0; i < 3; i += 1) {
    assert.equal(await attempts.take('192.0.2.1', aim), undefined);
    attempts.giveBack('192.0.2.1', aim);
  }
  assert.deepEqual(await attempts.take('203.0.113.1', aim), AIM_WAIT);
  attempts.giveBack('198.51.100.0', aim);
  assert.equal(await attempts.take('203.0.113.1', aim), undefined);
});
