import { SETTINGS, TOKEN_ENV } from './settings.ts';

/** The text of `--help`. */
export function helpText(): string {
  const rows = Object.values(SETTINGS).map((setting) => [
    `${setting.flag} ${setting.value}`,
    setting.env,
    setting.help,
  ]);
  rows.push(['(no flag)', TOKEN_ENV, "the agent's token, unless a token file is given"]);
  const lines = rows.map(
    ([flag = '', env, help]) => `  ${flag.padEnd(25)}${help}\n${' '.repeat(27)}${env}`,
  );
  return `burrow-agent: makes the ports of this workload reachable through a Burrow relay.

Usage: node burrow-agent.mjs [flags]

Each flag can also be given as an environment variable; flags win.

${lines.join('\n')}
  --version                print the version and stop
  --help                   print this text and stop

Proxies (http:// or https://) are taken from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY
and NO_PROXY.

Exit codes: 0 stopped as asked, 1 fault of the agent, 2 bad configuration,
3 the relay does not know the token, 4 the token was revoked.
`;
}
