import { TunnelError } from '../errors.ts';
import type { ChannelErrorCode } from '../errors.ts';
import { ResetCode, SshServer } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import { Traffic as WireTraffic } from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import type {
  Hello,
  Open,
  Reset,
  Target as WireTarget,
  Welcome,
} from '../gen/burrow/tunnel/v1/tunnel_pb.js';
import {
  MAX_AUTHORIZED_KEYS,
  MAX_METADATA_BYTES,
  MAX_METADATA_ENTRIES,
  MAX_REASON_BYTES,
} from '../limits.ts';
import type { HelloInfo, SshServerKind, Target, Traffic, WelcomeInfo } from '../types.ts';
import type { FrameKind } from './encode.ts';

/** Between the protobuf messages and the package's own types, checked once, here. */

const RESET_CODES: Readonly<Record<ChannelErrorCode, ResetCode>> = {
  cancelled: ResetCode.CANCELLED,
  'not-allowed': ResetCode.NOT_ALLOWED,
  'nothing-listens': ResetCode.NOTHING_LISTENS,
  unreachable: ResetCode.UNREACHABLE,
  'target-closed': ResetCode.TARGET_CLOSED,
  'timed-out': ResetCode.TIMED_OUT,
  limit: ResetCode.LIMIT,
  revoked: ResetCode.REVOKED,
  'agent-gone': ResetCode.AGENT_GONE,
  draining: ResetCode.DRAINING,
  'protocol-error': ResetCode.PROTOCOL_ERROR,
  internal: ResetCode.INTERNAL,
  unsupported: ResetCode.UNSUPPORTED,
  'unknown-channel': ResetCode.UNKNOWN_CHANNEL,
  'never-opened': ResetCode.NEVER_OPENED,
};

const CHANNEL_CODES = new Map<ResetCode, ChannelErrorCode>(
  Object.entries(RESET_CODES).map(([code, wire]) => [wire, code as ChannelErrorCode]),
);

const TRAFFIC: Readonly<Record<Traffic, WireTraffic>> = {
  auto: WireTraffic.UNSPECIFIED,
  interactive: WireTraffic.INTERACTIVE,
  bulk: WireTraffic.BULK,
};

export function resetFrame(channel: number, code: ChannelErrorCode, reason: string): FrameKind {
  return {
    case: 'reset',
    value: { channel, code: RESET_CODES[code], reason: clip(reason, MAX_REASON_BYTES) },
  };
}

export function resetCodeFromWire(code: ResetCode | undefined): ChannelErrorCode {
  return CHANNEL_CODES.get(code ?? ResetCode.UNSPECIFIED) ?? 'internal';
}

export function errorFromReset(reset: Reset): TunnelError {
  const code = resetCodeFromWire(reset.code);
  const reason = clip(reset.reason, MAX_REASON_BYTES);
  return new TunnelError(code, reason || `The other side closed the channel (${code}).`, {
    remote: true,
  });
}

export function targetToWire(target: Target): { kind: WireTarget['kind'] } {
  switch (target.kind) {
    case 'tcp':
      return { kind: { case: 'tcpPort', value: target.port } };
    case 'unix':
      return { kind: { case: 'unixPath', value: target.path } };
    case 'ssh':
      return {
        kind: {
          case: 'ssh',
          value: {
            $typeName: 'burrow.tunnel.v1.Target.Ssh',
            authorizedKeys: target.authorizedKeys.map(digestOf),
          },
        },
      };
    case 'terminal':
      return {
        kind: {
          case: 'terminal',
          value: { $typeName: 'burrow.tunnel.v1.Target.Terminal', session: target.session },
        },
      };
  }
}

/** Undefined: a kind of target that this revision does not know, or one out of bounds. */
export function targetFromWire(target: WireTarget | undefined): Target | undefined {
  const kind = target?.kind;
  switch (kind?.case) {
    case 'tcpPort':
      return kind.value >= 1 && kind.value <= 65_535
        ? { kind: 'tcp', port: kind.value }
        : undefined;
    case 'unixPath':
      return kind.value.length > 0 && kind.value.length <= 1024
        ? { kind: 'unix', path: kind.value }
        : undefined;
    case 'ssh':
      return kind.value.authorizedKeys.length <= MAX_AUTHORIZED_KEYS &&
        kind.value.authorizedKeys.every((digest) => digest.length === 32)
        ? { kind: 'ssh', authorizedKeys: kind.value.authorizedKeys.map(fingerprintOf) }
        : undefined;
    case 'terminal':
      return { kind: 'terminal', session: kind.value.session };
    default:
      return undefined;
  }
}

/** OpenSSH's way of writing a SHA-256: base64 without padding. */
function fingerprintOf(digest: Uint8Array): string {
  return `SHA256:${Buffer.from(digest).toString('base64').replace(/=+$/, '')}`;
}

function digestOf(fingerprint: string): Uint8Array {
  const digest = Buffer.from(fingerprint.replace(/^SHA256:/, ''), 'base64');
  if (digest.length !== 32) {
    throw new TunnelError('internal', 'A key is named by its SHA256 fingerprint.');
  }
  return digest;
}

export function sshServerToWire(kind: SshServerKind): SshServer {
  if (kind === 'built-in') return SshServer.BUILT_IN;
  return kind === 'sshd' ? SshServer.SSHD : SshServer.NONE;
}

function sshServerFromWire(server: SshServer): SshServerKind {
  if (server === SshServer.BUILT_IN) return 'built-in';
  return server === SshServer.SSHD ? 'sshd' : 'none';
}

export function trafficToWire(traffic: Traffic): WireTraffic {
  return TRAFFIC[traffic];
}

export function trafficFromWire(traffic: WireTraffic): Traffic {
  if (traffic === WireTraffic.INTERACTIVE) return 'interactive';
  return traffic === WireTraffic.BULK ? 'bulk' : 'auto';
}

/** A sentence that says what is wrong with an Open; undefined when nothing is. */
export function openFault(open: Open): string | undefined {
  if (open.uid.length !== 16) return 'A channel uid has 16 bytes.';
  const fault = metadataFault(open.metadata);
  if (fault !== undefined) return fault;
  if (open.epoch > 1) return 'Open begins at epoch 1.';
  if (open.workload.length > 63) return 'A workload has a name of at most 63 characters.';
  return undefined;
}

export function metadataFault(metadata: Readonly<Record<string, string>>): string | undefined {
  const entries = Object.entries(metadata);
  if (entries.length > MAX_METADATA_ENTRIES) {
    return `A channel carries at most ${MAX_METADATA_ENTRIES} metadata entries.`;
  }
  let bytes = 0;
  for (const [key, value] of entries) bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  return bytes > MAX_METADATA_BYTES
    ? `A channel carries at most ${MAX_METADATA_BYTES} bytes of metadata.`
    : undefined;
}

export function helloFromWire(hello: Hello): HelloInfo {
  return {
    revision: hello.revision,
    minRevision: hello.minRevision,
    instanceId: Buffer.from(hello.instanceId).toString('hex'),
    software: clip(hello.software, 128),
    capabilities: hello.capabilities.slice(0, 32).map((name) => clip(name, 64)),
    listeningPorts: hello.listeningPorts
      .slice(0, 256)
      .filter((port) => port >= 1 && port <= 65_535),
    sshHostKey: clip(hello.sshHostKey, 2048),
    sshServer: sshServerFromWire(hello.sshServer),
    sshUser: clip(hello.sshUser, 64),
    label: clip(hello.label, 256),
  };
}

export function welcomeFromWire(welcome: Welcome): WelcomeInfo {
  const { $typeName: _type, $unknown: _unknown, ...info } = welcome;
  return info;
}

function clip(text: string, bytes: number): string {
  if (text.length * 3 <= bytes || Buffer.byteLength(text) <= bytes) return text;
  return Buffer.from(text)
    .subarray(0, bytes)
    .toString()
    .replace(/\uFFFD+$/, '');
}
