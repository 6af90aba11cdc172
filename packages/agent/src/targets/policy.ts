import type { Target } from '@burrow/tunnel';
import type { PortRanges } from '../config/port-ranges.ts';

export interface TargetPolicy {
  readonly allow: PortRanges;
  readonly allowUnix: readonly string[];
}

/** Why this target may not be reached, as a sentence for the person who asked; undefined: it may. */
export function refusal(target: Target, policy: TargetPolicy): string | undefined {
  switch (target.kind) {
    case 'tcp':
      return policy.allow.has(target.port)
        ? undefined
        : `The agent does not allow port ${target.port}: BURROW_AGENT_ALLOW is ${policy.allow.toString()}`;
    case 'unix':
      return policy.allowUnix.includes(target.path)
        ? undefined
        : 'The agent does not allow this unix socket: BURROW_AGENT_ALLOW_UNIX does not name it';
    case 'ssh':
    case 'terminal':
      // Not served at all yet: targets.ts says so.
      return undefined;
  }
}
