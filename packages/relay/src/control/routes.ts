import {
  agentTokenSchema,
  createdTokenSchema,
  createdWorkspaceSchema,
  createTokenSchema,
  createWorkspaceSchema,
  portSchema,
  portSettingsSchema,
  tokenListSchema,
  userSchema,
  workspaceListSchema,
  workspaceSchema,
} from '@burrow/api';
import type { FastifyPluginAsync } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Auth } from '../auth/auth.ts';
import { addAuditRoutes } from './audit/routes.ts';
import { addChannelRoutes } from './cluster/channels.ts';
import { addClusterRoutes } from './cluster/routes.ts';
import type { ControlContext } from './context.ts';
import { principalOf, requirePrincipal, type Authenticate } from './require-principal.ts';
import { addSshRoutes } from './ssh/routes.ts';
import { answer, identified, named, nothing, security } from './route-parts.ts';
import { createToken } from './user/create-token.ts';
import { addKeyRoutes } from './user/keys/routes.ts';
import { listTokens } from './user/list-tokens.ts';
import { revokeToken } from './user/revoke-token.ts';
import { createWorkspace } from './workspaces/create.ts';
import { listWorkspaces } from './workspaces/list.ts';
import { resetPort } from './workspaces/ports/reset.ts';
import { setPort } from './workspaces/ports/set.ts';
import { showPort } from './workspaces/ports/show.ts';
import { rotateAgentToken } from './workspaces/rotate-agent-token.ts';
import { showWorkspace } from './workspaces/show.ts';
import { terminateWorkspace } from './workspaces/terminate.ts';

const portOf = z.strictObject({
  name: z.string().max(100),
  port: z
    .string()
    .regex(/^[1-9][0-9]{0,4}$/, 'must be a port, 1 to 65535')
    .transform(Number)
    .refine((port) => port <= 65_535, 'must be a port, 1 to 65535'),
});

/** What people sign in with and may manage themselves. */
export type Credentials = Pick<Auth, 'tokens' | 'keys'>;

/** Every verb of `/api/v1`, each with its schema: which is also what OpenAPI shows. */
export function apiRoutes(
  context: ControlContext,
  authenticate: Authenticate,
  { tokens, keys }: Credentials,
): FastifyPluginAsync {
  return async (plain) => {
    const app = plain.withTypeProvider<ZodTypeProvider>();
    app.addHook('onRequest', requirePrincipal(authenticate));
    app.addHook('onSend', async (_request, reply) => {
      reply.header('cache-control', 'no-store');
    });
    addKeyRoutes(app, context, keys);
    addAuditRoutes(app, context);
    addClusterRoutes(app, context);
    addChannelRoutes(app, context, authenticate);
    addSshRoutes(app, context);

    app.post(
      '/workspaces',
      {
        schema: {
          security,
          summary: 'Make a workspace',
          body: createWorkspaceSchema,
          response: answer(201, createdWorkspaceSchema),
        },
      },
      async (request, reply) => {
        const made = await createWorkspace(context, principalOf(request), request.body);
        return reply.code(201).header('location', `/api/v1/workspaces/${made.name}`).send(made);
      },
    );
    app.get(
      '/workspaces',
      {
        schema: {
          security,
          summary: 'List workspaces',
          response: answer(200, workspaceListSchema),
        },
      },
      (request) => listWorkspaces(context, principalOf(request)),
    );
    app.get(
      '/workspaces/:name',
      {
        schema: {
          security,
          summary: 'Show a workspace',
          params: named,
          response: answer(200, workspaceSchema),
        },
      },
      (request) => showWorkspace(context, principalOf(request), request.params.name),
    );
    app.delete(
      '/workspaces/:name',
      {
        schema: {
          security,
          summary: 'Terminate a workspace',
          params: named,
          response: answer(204, nothing),
        },
      },
      async (request, reply) => {
        await terminateWorkspace(context, principalOf(request), request.params.name);
        return reply.code(204).send(null);
      },
    );
    app.post(
      '/workspaces/:name/agent-token',
      {
        schema: {
          security,
          summary: "Replace the agent's token",
          params: named,
          response: answer(200, agentTokenSchema),
        },
      },
      (request) => rotateAgentToken(context, principalOf(request), request.params.name),
    );
    app.get(
      '/workspaces/:name/ports/:port',
      {
        schema: {
          security,
          summary: "Show a port's settings",
          params: portOf,
          response: answer(200, portSchema),
        },
      },
      (request) =>
        showPort(context, principalOf(request), request.params.name, request.params.port),
    );
    app.put(
      '/workspaces/:name/ports/:port',
      {
        schema: {
          security,
          summary: "Replace a port's settings",
          params: portOf,
          body: portSettingsSchema,
          response: answer(200, portSchema),
        },
      },
      (request) =>
        setPort(
          context,
          principalOf(request),
          request.params.name,
          request.params.port,
          request.body,
        ),
    );
    app.delete(
      '/workspaces/:name/ports/:port',
      {
        schema: {
          security,
          summary: "Reset a port's settings",
          params: portOf,
          response: answer(204, nothing),
        },
      },
      async (request, reply) => {
        const { name, port } = request.params;
        await resetPort(context, principalOf(request), name, port);
        return reply.code(204).send(null);
      },
    );
    app.get(
      '/user',
      { schema: { security, summary: 'Who am I', response: answer(200, userSchema) } },
      async (request) => {
        const { userId, username, admin } = principalOf(request);
        return { id: userId, username, admin };
      },
    );
    app.get(
      '/user/tokens',
      {
        schema: {
          security,
          summary: 'List my access tokens',
          response: answer(200, tokenListSchema),
        },
      },
      (request) => listTokens(tokens, principalOf(request)),
    );
    app.post(
      '/user/tokens',
      {
        schema: {
          security,
          summary: 'Make an access token',
          body: createTokenSchema,
          response: answer(201, createdTokenSchema),
        },
      },
      async (request, reply) => {
        const made = await createToken(
          { tokens, clock: context.clock, audit: context.audit },
          principalOf(request),
          request.body,
        );
        return reply.code(201).send(made);
      },
    );
    app.delete(
      '/user/tokens/:id',
      {
        schema: {
          security,
          summary: 'Revoke one of my access tokens',
          params: identified,
          response: answer(204, nothing),
        },
      },
      async (request, reply) => {
        await revokeToken(
          { tokens, audit: context.audit },
          principalOf(request),
          request.params.id,
        );
        return reply.code(204).send(null);
      },
    );
  };
}
