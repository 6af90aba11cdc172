import { clusterSchema } from '@burrow/api';
import { RelayError } from '../../errors.ts';
import type { ControlContext } from '../context.ts';
import { principalOf } from '../require-principal.ts';
import { answer, security, type ApiApp } from '../route-parts.ts';

export function addClusterRoutes(app: ApiApp, context: Pick<ControlContext, 'cluster'>): void {
  app.get(
    '/cluster',
    {
      schema: {
        security,
        summary: 'Show the relays (administrators)',
        response: answer(200, clusterSchema),
      },
    },
    (request) => {
      if (!principalOf(request).admin) {
        throw new RelayError('forbidden', 'Only an administrator may look at the cluster.', {
          blame: 'policy',
        });
      }
      return context.cluster();
    },
  );
}
