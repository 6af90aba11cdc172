import { SUFFIX } from './host-name.ts';
import { forShell, forSsh } from './own-command.ts';

/** OpenSSH's settings for every workspace. `identity`: the private key's file. */
export function configFile(identity: string): string {
  const proxy = forShell(['ssh-proxy', '--key', `${identity}.pub`, '--']);
  return `# Written by \`burrow ssh-config\`, which writes it anew. Put settings of your own into ~/.ssh/config.
Host *${SUFFIX}
  ProxyCommand ${proxy} %h
  # The workspace reports its host key over its authenticated link: nothing is accepted unseen.
  KnownHostsCommand ${forSsh(['ssh-known-hosts', '--'], ['%H'])}
  StrictHostKeyChecking yes
  UserKnownHostsFile none
  GlobalKnownHostsFile none
  UpdateHostKeys no
  CheckHostIP no
  # Made on this machine, and never leaves it. It opens nothing without your sign-in.
  IdentityFile "${identity.replaceAll('%', '%%')}"
  IdentitiesOnly yes
`;
}
