import type { FastifyRequest } from 'fastify';
import type { Actor } from '../../audit/event.ts';
import { RelayError } from '../../errors.ts';
import { principalOf } from '../require-principal.ts';

/** Who asks. Throws RelayError `forbidden`. */
export function requireAdmin(request: FastifyRequest): Actor {
  const actor = principalOf(request);
  if (actor.admin) return actor;
  throw new RelayError('forbidden', 'Only an administrator may look at the cluster.', {
    blame: 'policy',
  });
}
