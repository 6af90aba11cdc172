import { approvalRoutes } from './auth/approval-routes.ts';
import type { Auth } from './auth/auth.ts';
import { authenticateRequest } from './auth/request-auth.ts';
import { authRoutes } from './auth/routes.ts';
import type { Config } from './config/schema.ts';
import { agentFileRoutes } from './control/agent-file.ts';
import { createControl, type Control, type ControlOptions } from './control/control.ts';
import { parseHost, type HostNames } from './http/policy/host.ts';
import { observeRoutes, type ObserveRoutesOptions } from './observe/routes.ts';
import { publicUrlOf } from './public-url.ts';
import { localUrlOf, metricsTokenOf } from './relay-settings.ts';

export interface RelayControlDeps extends Pick<
  ControlOptions,
  | 'database'
  | 'changes'
  | 'alone'
  | 'drivers'
  | 'audit'
  | 'userCa'
  | 'presence'
  | 'cluster'
  | 'tracing'
  | 'logger'
> {
  readonly config: Config;
  readonly auth: Auth;
  readonly hosts: HostNames;
  /** Of the listener: known late. */
  readonly port: () => number;
  readonly readiness: ObserveRoutesOptions['readiness'];
  readonly registry: ObserveRoutesOptions['registry'];
}

/** Part of the composition root: the control host's pages and API, and what they are told of the relay. */
export function composeControl(deps: RelayControlDeps): Promise<Control> {
  const { config, auth, hosts, port, readiness, registry, ...rest } = deps;
  return createControl({
    ...rest,
    config: {
      domain: config.domain,
      get publicUrl() {
        return publicUrlOf(config, port());
      },
      get localRelayUrl() {
        return localUrlOf(config, port());
      },
      ...(config.agentUrl === undefined ? {} : { agentUrl: new URL(config.agentUrl) }),
      leaseMs: config.agents.leaseSeconds * 1000,
      maxWorkspaces: config.workspaces.maxPerUser,
    },
    authenticate: (request) => authenticateRequest(auth, request),
    credentials: auth,
    plugins: (parts) => [
      observeRoutes({ readiness, registry, metricsToken: metricsTokenOf(config) }),
      agentFileRoutes(config.agents.file),
      approvalRoutes({ auth, audit: deps.audit }),
      authRoutes({
        auth,
        directory: parts.workspaces,
        domain: config.domain,
        workspaceOfHost: (authority, secure) => {
          const host = parseHost(authority, secure, hosts);
          // A session is for exactly the authority that browsers send: no default port, say.
          if (host.authority !== authority || host.place.kind !== 'app') return undefined;
          return host.place.workspace;
        },
        workspaces: (principal) => parts.listWorkspaces(principal),
      }),
    ],
  });
}
