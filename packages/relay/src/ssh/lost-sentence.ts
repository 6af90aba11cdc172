import { TunnelError } from '@burrow/tunnel';
import { SENTENCES } from './sentences.ts';

/** Why the way to a workload ended, for the terminal of whoever was on it. */
export function lostSentence(workspace: string, error: Error): string {
  // Links that break say much about networks, and nothing that helps.
  const broken = ['agent-gone', 'link-lost', 'link-silent', 'draining'];
  if (error instanceof TunnelError && broken.includes(error.code)) return SENTENCES.lost(workspace);
  return SENTENCES.lost(workspace, error.message);
}
