// A sign-in by SSH that a person approves in a browser, from the terminal's link to the shell, over a whole relay.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { AuditEventList } from '@burrow/api';
import ssh2 from 'ssh2';
import { loadConfig } from '../../packages/relay/src/config/load.ts';
import { createLogger } from '../../packages/relay/src/observe/logger.ts';
import { createRelay } from '../../packages/relay/src/relay.ts';
import { eventually } from '../harness/eventually.ts';
import { send } from '../harness/send.ts';

async function boot(t: TestContext) {
  const dataDir = mkdtempSync(join(tmpdir(), 'burrow-approval-'));
  const lines: string[] = [];
  const { config } = loadConfig({
    flags: { dataDir, 'listen.port': 0, 'ssh.port': 0, 'drain.graceMs': 0 },
  });
  const destination = { write: (line: string) => lines.push(line) };
  const logger = createLogger({ level: 'trace', pretty: 'never', destination });
  const relay = await createRelay(config, { logger });
  t.after(async () => {
    await relay.stop(0);
    rmSync(dataDir, { recursive: true, force: true });
  });
  await relay.start();
  const admin = await relay.auth.users.ensureLocalAdmin();
  const { token } = await relay.auth.tokens.create(admin.userId, 'test');
  return { relay, lines, token };
}

/** What the terminal shows, and how to press Enter there. */
interface Terminal {
  readonly client: ssh2.Client;
  readonly link: URL;
  readonly userCode: string;
  enter(): void;
}

async function beginSignIn(t: TestContext, port: number): Promise<Terminal> {
  const client = new ssh2.Client();
  t.after(() => client.end());
  client.connect({ host: '127.0.0.1', port, username: 'burrow', tryKeyboard: true });
  const [, text, , , answer] = (await once(client, 'keyboard-interactive')) as [
    string,
    string,
    string,
    unknown,
    (answers: string[]) => void,
  ];
  const link = /https?:\/\/\S+/.exec(text)?.[0];
  const userCode = /[A-Z]{4}-[A-Z]{4}/.exec(text)?.[0];
  assert.ok(link !== undefined && userCode !== undefined, text);
  return { client, link: new URL(link), userCode, enter: () => answer(['']) };
}

/** A browser's way through sign-in to the page of the link: its cookie and what it shows. */
async function openLink(link: URL, token: string) {
  const asked = await send(link);
  assert.equal(asked.status, 303);
  const signIn = new URL(String(asked.headers.location), link);
  const form = {
    provider: 'local',
    secret: token,
    return: signIn.searchParams.get('return') ?? '',
  };
  const signedIn = await post(new URL('/sign-in', link), form);
  const cookie = String(signedIn.headers['set-cookie']).split(';')[0] ?? '';
  const back = new URL(String(signedIn.headers.location), link);
  assert.equal(back.href, link.href);
  const page = await send(back, { headers: { cookie } });
  return { cookie, page: page.text };
}

function post(url: URL, form: Record<string, string>, cookie = '') {
  return send(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      origin: url.origin,
      ...(cookie === '' ? {} : { cookie }),
    },
    body: new URLSearchParams(form).toString(),
  });
}

test('approved in the browser, the terminal is let in; no log knows the link', async (t) => {
  const { relay, lines, token } = await boot(t);
  const terminal = await beginSignIn(t, relay.ssh?.port ?? 0);
  const { link, userCode } = terminal;
  const code = link.searchParams.get('code') ?? '';
  assert.equal(link.origin, relay.url.origin);

  const { cookie, page } = await openLink(link, token);
  assert.ok(page.includes(userCode) && page.includes('127.0.0.1'), page);
  const decided = await post(new URL('/ssh/approve', link), { code, decision: 'approve' }, cookie);
  assert.match(decided.text, /Approved/);

  const ready = once(terminal.client, 'ready');
  terminal.enter();
  await ready;
  const again = await post(new URL('/ssh/approve', link), { code, decision: 'approve' }, cookie);
  assert.equal(again.status, 404);

  await eventually('the sign-in is in the audit', async () => {
    const answer = await send(new URL('/api/v1/audit-events', relay.url), {
      headers: { authorization: `Bearer ${token}` },
    });
    const { events } = answer.json<AuditEventList>();
    const seen = events.map(({ action, username }) => `${action} ${username}`);
    return seen.includes('ssh.approved admin') && seen.includes('ssh.sign-in admin');
  });
  const log = lines.join('');
  assert.ok(log.length > 0 && !log.includes(code) && !log.includes(token), log);
});

test('denied in the browser, the terminal is not', async (t) => {
  const { relay, token } = await boot(t);
  const terminal = await beginSignIn(t, relay.ssh?.port ?? 0);
  const { cookie } = await openLink(terminal.link, token);
  const code = terminal.link.searchParams.get('code') ?? '';
  await post(new URL('/ssh/approve', terminal.link), { code, decision: 'deny' }, cookie);
  const failed = once(terminal.client, 'ready');
  terminal.enter();
  await assert.rejects(failed, /authentication methods failed/);
});
