import { createSshKeySchema, sshKeyListSchema, sshKeySchema } from '@burrow/api';
import type { SshKeys } from '../../../auth/ssh-keys.ts';
import { answer, identified, nothing, security, type ApiApp } from '../../route-parts.ts';
import type { ControlContext } from '../../context.ts';
import { principalOf } from '../../require-principal.ts';
import { addKey } from './add.ts';
import { listKeys } from './list.ts';
import { removeKey } from './remove.ts';
import { showKey } from './show.ts';

export function addKeyRoutes(app: ApiApp, context: ControlContext, keys: SshKeys): void {
  const room = { keys, audit: context.audit };
  app.get(
    '/user/keys',
    {
      schema: { security, summary: 'List my SSH keys', response: answer(200, sshKeyListSchema) },
    },
    (request) => listKeys(keys, principalOf(request)),
  );
  app.post(
    '/user/keys',
    {
      schema: {
        security,
        summary: 'Add an SSH key to my account',
        body: createSshKeySchema,
        response: answer(201, sshKeySchema),
      },
    },
    async (request, reply) => {
      const added = await addKey(room, principalOf(request), request.body);
      return reply.code(201).header('location', `/api/v1/user/keys/${added.id}`).send(added);
    },
  );
  app.get(
    '/user/keys/:id',
    {
      schema: {
        security,
        summary: 'Show one of my SSH keys',
        params: identified,
        response: answer(200, sshKeySchema),
      },
    },
    (request) => showKey(keys, principalOf(request), request.params.id),
  );
  app.delete(
    '/user/keys/:id',
    {
      schema: {
        security,
        summary: 'Remove one of my SSH keys',
        params: identified,
        response: answer(204, nothing),
      },
    },
    async (request, reply) => {
      await removeKey(room, principalOf(request), request.params.id);
      return reply.code(204).send(null);
    },
  );
}
