import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { FastifyPluginAsync } from 'fastify';
import { RelayError } from '../errors.ts';

/** On the control host; no secret, so nobody has to sign in. */
export const AGENT_FILE_PATH = '/burrow-agent.mjs';

/** Where `npm run build:agent` and the image put it. */
export const BUILT_AGENT = fileURLToPath(
  new URL('../../../../dist/burrow-agent.mjs', import.meta.url),
);

interface AgentFile {
  readonly bytes: Buffer;
  readonly etag: string;
}

/**
 * Serves the agent of this very version, so that a workload needs nothing but `curl` and Node.
 * The file (under 1 MB) is read when it is first asked for, and kept.
 */
export function agentFileRoutes(path: string = BUILT_AGENT): FastifyPluginAsync {
  let kept: Promise<AgentFile> | undefined;
  const load = async (): Promise<AgentFile> => {
    const bytes = await readFile(path);
    return { bytes, etag: `"${createHash('sha256').update(bytes).digest('hex')}"` };
  };
  return async (app) => {
    app.get(AGENT_FILE_PATH, { schema: { hide: true } }, async (request, reply) => {
      kept ??= load();
      let file: AgentFile;
      try {
        file = await kept;
      } catch (cause) {
        // It may be built meanwhile.
        kept = undefined;
        throw new RelayError(
          'not-found',
          'This relay was installed without the agent’s file. Build it beside the relay with `npm run build:agent`.',
          { cause },
        );
      }
      reply
        .header('etag', file.etag)
        .header('cache-control', 'no-cache')
        .header('x-content-type-options', 'nosniff');
      if (request.headers['if-none-match'] === file.etag) return reply.code(304).send();
      return reply.header('content-type', 'text/javascript; charset=utf-8').send(file.bytes);
    });
  };
}
