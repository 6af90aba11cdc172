import type { CreateSshCertificate, SshCertificate } from '@burrow/api';
import { parsePublicKey, PublicKeyError, type PublicKey } from '@burrow/ssh';
import { by, type Actor } from '../../audit/event.ts';
import { RelayError } from '../../errors.ts';
import type { ControlContext } from '../context.ts';
import { findWorkspace } from '../workspaces/rows.ts';
import { viewWorkspace } from '../workspaces/view.ts';

/**
 * A short certificate with which one's own key opens the sshd beside a workload. Rejects with
 * RelayError `workspace-unknown`, `bad-request` (no usable key) or `conflict` (no sshd there that
 * names its user).
 */
export async function issueCertificate(
  context: ControlContext,
  actor: Actor,
  name: string,
  input: CreateSshCertificate,
): Promise<SshCertificate> {
  const { ssh } = viewWorkspace(context, await findWorkspace(context.db, actor, name));
  if (ssh.server !== 'sshd' || ssh.user === null) {
    throw new RelayError(
      'conflict',
      ssh.server === 'sshd'
        ? `The agent of "${name}" does not say whom its sshd runs sessions as: name the user in the agent's configuration.`
        : `The agent of "${name}" reports no sshd: certificates are for a real sshd. Its built-in server takes the keys of your account.`,
      { blame: 'agent' },
    );
  }
  const key = parse(input.publicKey);
  const made = context.userCa.certify({
    publicKey: key.blob,
    principal: ssh.user,
    who: actor.username,
    workspace: name,
  });
  context.audit.record({
    action: 'ssh.certificate-issued',
    outcome: 'ok',
    ...by(actor),
    workspace: name,
    detail: `serial ${made.serial} for ${ssh.user}, key ${key.fingerprint}`,
  });
  return {
    certificate: made.certificate,
    principal: ssh.user,
    serial: String(made.serial),
    expiresAt: new Date(made.expiresAt).toISOString(),
  };
}

function parse(line: string): PublicKey {
  try {
    return parsePublicKey(line);
  } catch (error) {
    if (!(error instanceof PublicKeyError)) throw error;
    throw new RelayError('bad-request', error.message, { blame: 'client' });
  }
}
