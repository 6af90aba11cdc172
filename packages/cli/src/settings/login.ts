import { resolve } from 'node:path';
import { CliError, EXIT } from '../cli-error.ts';
import { print } from '../output.ts';
import { apiOf, explained } from '../relay/api.ts';
import { readCa } from '../relay/authorities.ts';
import { askToken } from './ask-token.ts';
import { isToken, relayUrl, settingsFile, writeSettings } from './settings.ts';

/** Rejects with CliError; then nothing was written. */
export async function login(
  text: string,
  options: { readonly caFile?: string; readonly plaintext?: boolean },
): Promise<void> {
  const url = relayUrl(text);
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && options.plaintext !== true) {
    throw new CliError(
      `${url.origin} is not encrypted: anyone on the way could read your token. Use https, or --plaintext if you know this network.`,
      EXIT.usage,
    );
  }
  const caFile = options.caFile === undefined ? undefined : resolve(options.caFile);
  readCa(caFile);
  const token = await askToken(`Personal access token for ${url.host}: `);
  if (!isToken(token)) {
    throw new CliError(
      'This is no personal access token: they begin with burrow_pat_. The relay’s page and its administrator know how to make one.',
      EXIT.usage,
    );
  }
  const settings = { url, token, caFile };
  const { username } = await explained(apiOf(settings).user.show());
  writeSettings(settings);
  print(`Signed in to ${url.origin} as ${username}. The token is in ${settingsFile()}.`);
}

function isLoopback(host: string): boolean {
  return /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(host);
}
