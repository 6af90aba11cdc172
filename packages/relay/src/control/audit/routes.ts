import { auditEventListSchema, auditQuerySchema } from '@burrow/api';
import type { ControlContext } from '../context.ts';
import { principalOf } from '../require-principal.ts';
import { answer, security, type ApiApp } from '../route-parts.ts';
import { listAuditEvents } from './list-events.ts';

export function addAuditRoutes(app: ApiApp, context: ControlContext): void {
  app.get(
    '/audit-events',
    {
      schema: {
        security,
        summary: 'List audit events (administrators)',
        querystring: auditQuerySchema,
        response: answer(200, auditEventListSchema),
      },
    },
    (request) => listAuditEvents(context, principalOf(request), request.query),
  );
}
