import { randomBytes } from 'node:crypto';
import swagger from '@fastify/swagger';
import fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify';
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
} from 'fastify-type-provider-zod';
import type { ControlContext } from './context.ts';
import { errorHandler, noRoute } from './error-reply.ts';
import type { Authenticate } from './require-principal.ts';
import { apiRoutes, type Credentials } from './routes.ts';

/** Bytes of one request's body: the largest (100 ports, 32 origins each) stays well below. */
const BODY_LIMIT = 1024 * 1024;

export interface BuildAppOptions {
  readonly context: ControlContext;
  readonly authenticate: Authenticate;
  readonly credentials: Credentials;
  /** More routes of the control host: signing in, the dashboard. */
  readonly plugins: readonly FastifyPluginAsync[];
}

/** The control host's HTTP application. It listens nowhere: see in-process.ts. */
export async function buildApp(options: BuildAppOptions): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    // The gateway before it writes these fields itself; its X-Forwarded-For begins with the client and
    // holds only hops that trusted proxies vouch for.
    trustProxy: true,
    genReqId: () => randomBytes(8).toString('hex'),
    requestIdHeader: false,
    logger: false,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 200 },
  });
  // JSON only: what a page of another site can send without a preflight is refused.
  app.removeContentTypeParser('text/plain');
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(errorHandler(options.context.logger));
  app.setNotFoundHandler(noRoute);
  app.addHook('onSend', async (request, reply) => {
    reply.header('x-request-id', request.id);
    reply.header('x-content-type-options', 'nosniff');
  });
  await app.register(swagger, {
    openapi: {
      info: { title: 'Burrow', version: '1', description: "The relay's control plane." },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  await app.register(apiRoutes(options.context, options.authenticate, options.credentials), {
    prefix: '/api/v1',
  });
  app.get('/api/v1/openapi.json', { schema: { hide: true } }, async () => app.swagger());
  for (const plugin of options.plugins) await app.register(plugin);
  await app.ready();
  return app;
}
