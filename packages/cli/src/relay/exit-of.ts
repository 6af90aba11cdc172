import type { TunnelError } from '@burrow/tunnel';
import { EXIT, type ExitCode } from '../cli-error.ts';

const AWAY = ['agent-gone', 'unreachable', 'link-lost', 'link-silent', 'draining', 'unavailable'];

/** How a program ends whose channel or link ended so. */
export function exitOf(error: TunnelError): ExitCode {
  if (error.code.startsWith('token-')) return EXIT.notSignedIn;
  if (error.code === 'not-allowed') return EXIT.notFound;
  return AWAY.includes(error.code) ? EXIT.unreachable : EXIT.failed;
}
