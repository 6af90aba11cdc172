import type { AuditEventList, AuditQuery } from '@burrow/api';
import { listEvents } from '../../audit/list.ts';
import type { Principal } from '../../auth/principal.ts';
import { RelayError } from '../../errors.ts';
import type { ControlContext } from '../context.ts';

/** What happened, for administrators. */
export async function listAuditEvents(
  { db }: Pick<ControlContext, 'db'>,
  principal: Principal,
  query: AuditQuery,
): Promise<AuditEventList> {
  if (!principal.admin) {
    throw new RelayError('forbidden', 'Only an administrator may read the audit events.', {
      blame: 'policy',
    });
  }
  return listEvents(db, query);
}
