import { workspaceSsh } from '../relay/workspace-ssh.ts';
import { readSettings } from '../settings/settings.ts';
import { SUFFIX, workspaceOf } from './host-name.ts';

/** Lines for known_hosts; empty for a host that is none of ours. Rejects with CliError. */
export async function knownHosts(host: string): Promise<string> {
  // With another port than 22, ssh looks for [host]:port (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
  const plain = /^\[(.*)\](?::\d+)?$/.exec(host)?.[1] ?? host;
  if (!plain.toLowerCase().endsWith(SUFFIX)) return '';
  const { hostKey } = await workspaceSsh(readSettings(), workspaceOf(plain));
  return `${host} ${hostKey}\n`;
}
