import { parsePublicKey } from '@burrow/ssh';
import type { Audit } from './audit/audit.ts';
import { approvalUrl } from './auth/approval-routes.ts';
import type { Auth } from './auth/auth.ts';
import type { Clients } from './clients/index.ts';
import type { Config } from './config/schema.ts';
import type { Control } from './control/control.ts';
import type { UserCa } from './control/ssh/user-ca.ts';
import type { RelayKeys } from './keys/relay-keys.ts';
import type { RelayLogger } from './observe/logger.ts';
import type { Router } from './routing/router.ts';
import { createSshGateway, type SshGateway } from './ssh/gateway.ts';
import { VERSION } from './version.ts';

export interface RelaySshDeps {
  readonly config: Config;
  readonly keys: RelayKeys;
  readonly auth: Auth;
  readonly audit: Audit;
  readonly control: Control;
  readonly userCa: UserCa;
  readonly router: Pick<Router, 'presence' | 'waitFor'>;
  readonly clients: Clients;
  /** How people reach the control host; its port may be known late. */
  readonly publicUrl: () => URL;
  readonly logger: RelayLogger['logger'];
}

export interface RelaySsh {
  readonly gateway: SshGateway;
  /** What clients should see: `ssh-ed25519 AAAA…` of the first key. */
  readonly hostKey: string;
}

/** Part of the composition root: joins the SSH gateway with the rooms that it asks. */
export function composeSsh(deps: RelaySshDeps): RelaySsh {
  const { config, keys, auth, audit, control, userCa, router, clients, logger } = deps;
  const gateway = createSshGateway({
    host: config.ssh.host ?? config.listen.host,
    port: config.ssh.port,
    reusePort: config.listen.reusePort,
    proxyProtocol: config.ssh.proxyProtocol ?? config.listen.proxyProtocol,
    trustedProxies: config.listen.trustedProxies,
    hostKeys: keys.sshHost.map((key) => key.privateKey),
    handshakeMs: config.ssh.handshakeTimeoutMs,
    // Some abilities of OpenSSH's client (the end of output that nobody reads) are for its own kind only.
    software: `OpenSSH_burrow_${VERSION}`,
    keysUrl: () => new URL('/', deps.publicUrl()).href,
    admitLink: (port) => clients.admitInternal(port),
    log: logger,
    deps: {
      now: Date.now,
      directory: control.workspaces,
      presence: (agentId) => router.presence(agentId),
      waitFor: (agentId, signal) => router.waitFor(agentId, signal),
      agentWaitMs: config.gateway.agentWaitMs,
      remembered: (agentId) => control.sshOf(agentId),
      keyOwner: async (fingerprint) => (await auth.keys.findByFingerprint(fingerprint))?.principal,
      keyUsed: (fingerprint) => void markUsed(fingerprint),
      tokenOwner: async (token) => auth.tokens.verify(token),
      keysOf: (userId) => auth.keys.fingerprintsOf(userId),
      attempts: auth.attempts,
      approvals: {
        async begin({ address, asked }) {
          const { code, userCode } = await auth.approvals.create({ address, workspace: asked });
          return { approval: code, url: approvalUrl(deps.publicUrl(), code), userCode };
        },
        async wait(approval) {
          const outcome = await auth.approvals.wait(approval, AbortSignal.timeout(APPROVAL_MS));
          return outcome.kind === 'approved' ? outcome.principal : undefined;
        },
      },
      // oxlint-disable-next-line require-await -- throws as a rejection
      certificate: async (workspace, principal, publicLine, who) => {
        const { blob } = parsePublicKey(publicLine);
        return userCa.certify({ publicKey: blob, principal, who, workspace }).certificate;
      },
      workspacesOf: (principal) => control.listWorkspaces(principal),
      audit: (event) => audit.record(event),
    },
  });
  keys.onHostKeys((now) => gateway.setHostKeys(now.map((key) => key.privateKey)));
  return {
    gateway,
    get hostKey() {
      return keys.sshHost[0]?.publicLine ?? '';
    },
  };

  async function markUsed(fingerprint: string): Promise<void> {
    try {
      const known = await auth.keys.findByFingerprint(fingerprint);
      if (known !== undefined) await auth.keys.used(known.keyId);
    } catch (error) {
      logger.warn({ err: error }, 'the use of an SSH key could not be written down');
    }
  }
}

/** An approval ends by itself before. */
const APPROVAL_MS = 150_000;
