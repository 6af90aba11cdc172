import { createSshCertificateSchema, sshCertificateSchema, userCaSchema } from '@burrow/api';
import type { ControlContext } from '../context.ts';
import { principalOf } from '../require-principal.ts';
import { answer, named, security, type ApiApp } from '../route-parts.ts';
import { issueCertificate } from './issue-certificate.ts';

export function addSshRoutes(app: ApiApp, context: ControlContext): void {
  app.get(
    '/ssh/user-ca',
    {
      schema: {
        security,
        summary: "Show the authority that workloads' sshd should trust",
        response: answer(200, userCaSchema),
      },
    },
    () => ({
      publicKey: context.userCa.publicLine,
      fingerprint: context.userCa.fingerprint,
      publicKeys: [...context.userCa.publicLines],
    }),
  );
  app.post(
    '/workspaces/:name/ssh-certificate',
    {
      schema: {
        security,
        summary: "Certify a key for the workload's sshd, for 5 minutes",
        params: named,
        body: createSshCertificateSchema,
        response: answer(201, sshCertificateSchema),
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const made = await issueCertificate(context, principalOf(request), name, request.body);
      return reply.code(201).send(made);
    },
  );
}
