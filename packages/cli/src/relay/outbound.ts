import { OutboundError, proxyFor } from '@burrow/outbound';
import { CliError, EXIT } from '../cli-error.ts';

/** The environment's proxy on the way to the relay; undefined: none. Throws CliError. */
export function proxyTo(relay: URL): URL | undefined {
  try {
    return proxyFor(relay);
  } catch (error) {
    throw explainOutbound(error) ?? error;
  }
}

/** Undefined: it is something else. */
export function explainOutbound(error: unknown): CliError | undefined {
  if (!(error instanceof OutboundError)) return undefined;
  const options = { cause: error };
  return error.kind === 'proxy-setting'
    ? new CliError(`${error.message}.`, EXIT.usage, options)
    : new CliError(
        `${error.message}. Check your network and the relay's URL.`,
        EXIT.unreachable,
        options,
      );
}
