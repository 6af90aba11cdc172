import { STATUS_CODES } from 'node:http';
import type { Auth } from '../../auth/auth.ts';
import { mayOpen } from '../../auth/may-open.ts';
import { whenReady, type MaybePromise } from '../../auth/maybe-promise.ts';
import {
  DEFAULT_PORT_POLICY,
  type WorkspaceDirectory,
  type WorkspaceRoute,
} from '../../control/directory.ts';
import type { Decision, GatePolicy, LocalResponse, RequestHead } from '../gate-policy.ts';
import { databaseFaults, type FaultLog } from './database-fault.ts';
import { readCredential, type Credential } from './credentials.ts';
import { errorResponse, type ErrorAnswer } from './error-response.ts';
import { explainAgent, explainFailure } from './explain-failure.ts';
import { answerReserved, beginHandOver, isReserved, type AppHost } from './hand-over.ts';
import { parseHost, type Host, type HostNames } from './host.ts';
import { judgeOrigin } from './origin.ts';
import { allowPreflight, corsHeaders } from './preflight.ts';
import { isPageNavigation, isPreflight } from './request-kind.ts';
import { PRIVATE_HEADERS } from './responses.ts';

export interface GatePolicyOptions extends HostNames {
  readonly auth: Auth;
  readonly directory: WorkspaceDirectory;
  /** ms since the epoch. */
  readonly clock?: { now(): number };
  /**
   * Paths of the control host that are answered without TLS under any of its names:
   * probes, and links over WebSocket (which the links room judges, as those over gRPC).
   */
  readonly plainPaths?: readonly string[];
  readonly log?: FaultLog;
}

const PLAIN_PATHS = [
  '/healthz',
  '/readyz',
  '/metrics',
  '/burrow.tunnel.v1.TunnelService/Connect',
] as const;

/**
 * How long (ms) the engine may reuse a decision: expiry and changed workspaces are
 * felt within it, and by what is open already half a second later.
 */
const REUSE_MS = 500;

type AppPlace = Extract<Host['place'], { kind: 'app' }>;

/** Decides each request by its own authority and its own credentials, never by its connection. */
export function createGatePolicy(options: GatePolicyOptions): GatePolicy {
  const { auth, directory } = options;
  const clock = options.clock ?? { now: Date.now };
  const plainPaths = new Set<string>(options.plainPaths ?? PLAIN_PATHS);
  const explainFault = databaseFaults(options.log, () => clock.now());

  const refuse = (head: RequestHead, answer: ErrorAnswer): Decision => ({
    kind: 'respond',
    response: errorResponse(head, answer),
  });

  function decide(head: RequestHead): MaybePromise<Decision> {
    const decision = judge(head);
    if (!(decision instanceof Promise)) return decision;
    return decision.catch((error: unknown) => {
      throw explainFault(error);
    });
  }

  function judge(head: RequestHead): MaybePromise<Decision> {
    const host = parseHost(head.authority.toLowerCase(), head.secure, options);
    const { place } = host;
    if (place.kind === 'unknown') return refuse(head, { code: 'misdirected' });
    if (!head.secure && !host.loopback) {
      const path = head.target.split('?', 1)[0] ?? '';
      if (!(place.kind === 'control' && plainPaths.has(path))) {
        return refuse(head, { code: 'insecure' });
      }
    }
    if (place.kind === 'control') return { kind: 'control' };
    if (place.kind === 'bad-port') {
      return refuse(head, {
        code: 'misdirected',
        message: `“${place.text}” is no port: ports are 1 to 65535, without leading zeros.`,
      });
    }
    const appHost = appHostOf(head, host);
    if (isReserved(head.target)) {
      return answerReserved(auth, head, appHost).then((response): Decision => ({
        kind: 'respond',
        response,
      }));
    }
    if (
      isPreflight(head) &&
      head.get('burrow-authorization') === undefined &&
      head.get('origin') !== appHost.origin
    ) {
      return whenReady(directory.find(place.workspace), (route) =>
        decidePreflight(head, route, place),
      );
    }
    return whenReady(readCredential(auth, head, appHost.authority), (credential) =>
      decideApp(head, credential, place, appHost),
    );
  }

  function decidePreflight(
    head: RequestHead,
    route: WorkspaceRoute | undefined,
    place: AppPlace,
  ): Decision {
    const origin = head.get('origin');
    const named = route && policyOf(route, portOf(route, place)).corsOrigins;
    const allowed = named?.find((name) => name === origin);
    if (allowed !== undefined) {
      return { kind: 'respond', response: allowPreflight(head, allowed) };
    }
    // The same words whether or not there is such a workspace.
    return refuse(head, {
      code: 'unauthenticated',
      message: 'The CORS settings of this port, if there is one, do not name this origin.',
      next: 'Let the workspace’s owner add the origin to the port’s CORS settings.',
      blame: 'policy',
      headers: ['WWW-Authenticate', 'Bearer realm="burrow"', 'Vary', 'Origin'],
    });
  }

  function decideApp(
    head: RequestHead,
    credential: Credential,
    place: AppPlace,
    appHost: AppHost,
  ): MaybePromise<Decision> {
    switch (credential.kind) {
      case 'bad-bearer':
        return refuse(head, {
          code: 'unauthenticated',
          message: 'The token in Burrow-Authorization is malformed, unknown, expired or revoked.',
          next: 'Make a new personal access token, and send it as “Burrow-Authorization: Bearer burrow_pat_…”.',
          headers: ['WWW-Authenticate', 'Bearer realm="burrow", error="invalid_token"'],
        });
      case 'none':
        if (head.method === 'GET' && isPageNavigation(head)) {
          return { kind: 'respond', response: beginHandOver(head, appHost) };
        }
        return refuse(head, {
          code: 'unauthenticated',
          message: credential.hadCookie
            ? 'Your session on this host has ended.'
            : 'This request carries no sign-in for this host.',
          headers: ['WWW-Authenticate', 'Bearer realm="burrow"'],
        });
      case 'bearer':
      case 'cookie':
        return whenReady(directory.find(place.workspace), (route) =>
          decideSignedIn(head, credential, route, place, appHost),
        );
    }
  }

  function decideSignedIn(
    head: RequestHead,
    credential: Extract<Credential, { kind: 'bearer' | 'cookie' }>,
    route: WorkspaceRoute | undefined,
    place: AppPlace,
    appHost: AppHost,
  ): Decision {
    // One answer for both, so that nobody can find out which names exist.
    if (route === undefined || !mayOpen(credential.principal, route)) {
      return refuse(head, { code: 'workspace-unknown' });
    }
    const port = portOf(route, place);
    const policy = policyOf(route, port);
    let cors: string | undefined;
    let reusable = true;
    if (credential.kind === 'cookie') {
      const verdict = judgeOrigin(head, {
        own: appHost.origin,
        named: policy.corsOrigins,
        mayFrame: (origin) => isOfWorkspace(origin, head, place.workspace),
      });
      if (!verdict.ok) {
        return refuse(head, { code: 'forbidden', message: verdict.reason });
      }
      cors = verdict.cors;
      reusable = verdict.usedReferer !== true;
    } else {
      const origin = head.get('origin');
      cors = policy.corsOrigins.find((name) => name === origin);
    }
    if (route.state === 'stopped' || route.state === 'failed') {
      return refuse(head, explainAgent(route, clock.now()));
    }
    return {
      kind: 'app',
      route,
      port,
      policy,
      principal: credential.principal,
      ...(cors === undefined ? {} : { responseHeaders: corsHeaders(cors) }),
      ...(reusable ? { reusable } : {}),
    };
  }

  /** Another port of the same workspace, on this very relay. */
  function isOfWorkspace(origin: string, head: RequestHead, workspace: string): boolean {
    const [scheme, authority] = origin.split('://', 2);
    if (scheme !== (head.secure ? 'https' : 'http') || authority === undefined) return false;
    const { place } = parseHost(authority, head.secure, options);
    return place.kind === 'app' && place.workspace === workspace;
  }

  function appHostOf(head: RequestHead, host: Host): AppHost {
    const scheme = head.secure ? 'https' : 'http';
    return {
      origin: `${scheme}://${host.authority}`,
      authority: host.authority,
      controlOrigin: `${scheme}://${options.domain}${host.portSuffix}`,
    };
  }

  return {
    get version() {
      // Both only grow, so every change of either is a new number.
      return auth.version + Math.floor(performance.now() / REUSE_MS);
    },
    decide,
    failure: (head, error, context) =>
      errorResponse(head, explainFailure(error, context, clock.now())),
    badRequest,
  };
}

function portOf(route: WorkspaceRoute, place: AppPlace): number {
  return place.port ?? route.editorPort;
}

function policyOf(route: WorkspaceRoute, port: number): typeof DEFAULT_PORT_POLICY {
  return route.ports.get(port) ?? DEFAULT_PORT_POLICY;
}

/** There is no usable request to look at: plain words for whoever reads them. */
function badRequest(status: number, reason: string): LocalResponse {
  return {
    status,
    headers: ['Content-Type', 'text/plain; charset=utf-8', ...PRIVATE_HEADERS],
    body: `${status} ${STATUS_CODES[status] ?? 'Error'}\n\n${reason}\nThe relay refused this request as the client sent it; it reached no app.\n`,
  };
}
