import { generateHostKey } from '@burrow/ssh';
import { createAuth } from '../auth/auth.ts';
import type { AuditEvent } from '../audit/event.ts';
import type { Principal } from '../auth/principal.ts';
import type { Database } from '../db/database.ts';
import { openTestDatabase } from '../db/testing.ts';
import type { Driver, DriverStart, DriverStarted, DriverWorkspace } from '../drivers/driver.ts';
import { externalDriver } from '../drivers/external.ts';
import type { Presence } from '../routing/router.ts';
import { createUserCa } from './ssh/user-ca.ts';
import { createControl, type Control, type ControlOptions } from './control.ts';

export interface TestClock {
  now(): number;
  advance(ms: number): void;
}

export interface TestControl extends AsyncDisposable {
  readonly control: Control;
  readonly database: Database;
  readonly clock: TestClock;
  readonly local: FakeDriver;
  readonly alice: Principal;
  readonly bob: Principal;
  readonly root: Principal;
  /** What the links are made to report. */
  readonly presence: Map<string, Presence>;
  readonly logged: string[];
  /** What was recorded for the audit. */
  readonly audited: AuditEvent[];
  /** Calls the API as somebody. */
  call(
    as: Principal | undefined,
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: any; headers: Record<string, unknown> }>; // oxlint-disable-line typescript/no-explicit-any
}

export interface TestControlOptions extends Partial<ControlOptions> {
  readonly database?: Database;
  readonly startAt?: number;
}

/** A control plane on a database in memory, a clock that moves only when told, and three people. */
export async function testControl(options: TestControlOptions = {}): Promise<TestControl> {
  const database = options.database ?? (await openTestDatabase());
  const clock = testClock(options.startAt);
  const auth = createAuth({ db: database.kysely, clock });
  const user = async (name: string, admin: boolean): Promise<Principal> => {
    const row = await database.kysely
      .selectFrom('users')
      .selectAll()
      .where('username', '=', name)
      .executeTakeFirst();
    return row
      ? { userId: row.id, username: row.username, admin: row.admin === 1 }
      : auth.users.create(name, { admin });
  };
  const people = [
    await user('alice', false),
    await user('bob', false),
    await user('root', true),
  ] as const;
  const local = new FakeDriver();
  const presence = new Map<string, Presence>();
  const logged: string[] = [];
  const audited: AuditEvent[] = [];
  const log = (fields: object, message: string): void => {
    logged.push(`${message} ${JSON.stringify(fields)} ${(fields as { err?: Error }).err ?? ''}`);
  };
  const userCaKeys = { current: generateHostKey(), next: undefined };
  const control = await createControl({
    database,
    clock,
    drivers: [externalDriver(), local],
    config: { domain: 'localhost', publicUrl: new URL('http://localhost:8080') },
    authenticate: (request) =>
      people.find((each) => request.headers.authorization === `Bearer ${each.username}`),
    credentials: auth,
    audit: { record: (event) => audited.push(event) },
    userCa: createUserCa(() => userCaKeys, clock),
    presence: (agentId) => presence.get(agentId),
    logger: { info: log, warn: log, error: log },
    ...options,
  });
  return {
    control,
    database,
    clock,
    local,
    alice: people[0],
    bob: people[1],
    root: people[2],
    presence,
    logged,
    audited,
    async call(as, method, path, body) {
      const response = await control.app.inject({
        method,
        url: `/api/v1${path}`,
        headers: as ? { authorization: `Bearer ${as.username}` } : {},
        ...(body === undefined ? {} : { payload: body as object }),
      });
      return {
        status: response.statusCode,
        body: response.body === '' ? undefined : JSON.parse(response.body),
        headers: response.headers,
      };
    },
    async [Symbol.asyncDispose]() {
      await control.stop();
      if (!options.database) await database.close();
    },
  };
}

export function testClock(start = 1_800_000_000_000): TestClock {
  let at = start;
  return {
    now: () => at,
    advance: (ms) => {
      at += ms;
    },
  };
}

/** Starts nothing and remembers everything. */
export class FakeDriver implements Driver {
  readonly name = 'local';
  readonly started: { workspace: DriverWorkspace; options: DriverStart }[] = [];
  readonly stopped: string[] = [];
  result: () => Promise<DriverStarted> = async () => ({ editorPort: 4321 });

  start(workspace: DriverWorkspace, options: DriverStart): Promise<DriverStarted> {
    this.started.push({ workspace, options });
    return this.result();
  }

  async stop(workspaceId: string): Promise<void> {
    this.stopped.push(workspaceId);
  }

  async stopAll(): Promise<void> {
    this.stopped.push('*');
  }
}
