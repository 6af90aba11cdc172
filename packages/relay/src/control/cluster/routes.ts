import { clusterSchema } from '@burrow/api';
import type { ControlContext } from '../context.ts';
import { answer, security, type ApiApp } from '../route-parts.ts';
import { requireAdmin } from './require-admin.ts';

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
      requireAdmin(request);
      return context.cluster();
    },
  );
}
