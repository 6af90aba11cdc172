import { createAuth, type Auth } from '../../auth/auth.ts';
import type { Principal } from '../../auth/principal.ts';
import { testClock, testDatabase } from '../../auth/testing.ts';
import type { PortPolicy, WorkspaceRoute } from '../../control/directory.ts';
import type { Decision, GatePolicy, LocalResponse, RequestHead } from '../gate-policy.ts';
import { createGatePolicy } from './gate.ts';

/** A request head as the engine would make it. `over` wins; header names in any case. */
export function requestHead(
  over: Partial<Omit<RequestHead, 'headers' | 'get'>> & {
    headers?: Readonly<Record<string, string | undefined>>;
  } = {},
): RequestHead {
  const { headers = {}, ...rest } = over;
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) pairs.push(name, value);
  }
  return {
    method: 'GET',
    target: '/',
    authority: 'demo.burrow.test',
    secure: true,
    remoteAddress: '127.0.0.1',
    upgrade: undefined,
    httpVersion: '1.1',
    id: 'req1',
    headers: pairs,
    get: (name) => {
      const index = pairs.findIndex(
        (each, at) => at % 2 === 0 && each.toLowerCase() === name.toLowerCase(),
      );
      return index < 0 ? undefined : pairs[index + 1];
    },
    ...rest,
  };
}

export interface PolicyWorld {
  readonly policy: GatePolicy;
  readonly auth: Auth;
  readonly clock: ReturnType<typeof testClock>;
  readonly owner: Principal;
  readonly stranger: Principal;
  readonly admin: Principal;
  readonly routes: Map<string, WorkspaceRoute>;
  /** A `Cookie` field with a session of that user on that host. */
  readonly appCookie: (user: Principal, authority: string, secure?: boolean) => Promise<string>;
}

export function workspaceRoute(over: Partial<WorkspaceRoute> = {}): WorkspaceRoute {
  return {
    id: 'w1',
    name: 'demo',
    ownerId: 'nobody',
    agentId: 'a1',
    state: 'running',
    editorPort: 60001,
    ports: new Map<number, PortPolicy>(),
    agentLastSeen: undefined,
    ...over,
  };
}

/** A gate over a real auth room: workspaces `demo` (of the owner) and `evil` (of a stranger). */
export async function policyWorld(domain = 'burrow.test'): Promise<PolicyWorld> {
  const clock = testClock();
  const auth = createAuth({ db: await testDatabase(), clock });
  const owner = await auth.users.create('olive');
  const stranger = await auth.users.create('mallory');
  const admin = await auth.users.ensureLocalAdmin();
  const cors: PortPolicy = {
    protocol: 'http',
    host: 'preserve',
    corsOrigins: ['https://front.example'],
  };
  const routes = new Map([
    ['demo', workspaceRoute({ ownerId: owner.userId, ports: new Map([[8000, cors]]) })],
    ['evil', workspaceRoute({ id: 'w2', name: 'evil', ownerId: stranger.userId })],
  ]);
  const policy = createGatePolicy({
    domain,
    publicHosts: [],
    auth,
    clock,
    directory: { find: (name) => routes.get(name) },
  });
  return {
    policy,
    auth,
    clock,
    owner,
    stranger,
    admin,
    routes,
    async appCookie(user, authority, secure = true) {
      const parent = await auth.sessions.createControl(user.userId);
      const session = await auth.sessions.createApp({
        userId: user.userId,
        parentId: parent.id,
        host: authority,
      });
      return `${secure ? '__Host-' : ''}burrow_app=${session?.secret ?? ''}`;
    },
  };
}

/** `app`, `control`, or the status and error code of the gate's own answer. */
export function verdict(decision: Decision): string {
  if (decision.kind !== 'respond') return decision.kind;
  const code = headerOf(decision.response, 'burrow-error');
  return code === undefined
    ? String(decision.response.status)
    : `${decision.response.status} ${code}`;
}

export function responseOf(decision: Decision): LocalResponse {
  if (decision.kind !== 'respond') throw new Error(`the gate let it pass: ${decision.kind}`);
  return decision.response;
}

/** All values of a response header, joined by a line end. */
export function headerOf(response: LocalResponse, name: string): string | undefined {
  const values: string[] = [];
  for (let at = 0; at < response.headers.length; at += 2) {
    if (response.headers[at]?.toLowerCase() === name) values.push(response.headers[at + 1] ?? '');
  }
  return values.length === 0 ? undefined : values.join('\n');
}
