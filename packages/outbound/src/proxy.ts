import { getProxyForUrl } from 'proxy-from-env';
import { OutboundError } from './outbound-error.ts';

/**
 * The proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for this relay; undefined: none.
 * `text` is what they say. Throws OutboundError, which repeats nothing of the URL, as it may hold a password.
 */
export function proxyFor(relay: URL, text = getProxyForUrl(relay)): URL | undefined {
  if (text === '') return undefined;
  const source = `${relay.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'} (or ALL_PROXY)`;
  if (/^socks/i.test(text)) {
    throw new OutboundError(
      'proxy-setting',
      `${source} names a SOCKS proxy, which cannot be used here: name an http:// or https:// proxy, or the relay's host in NO_PROXY`,
    );
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || !canDecode(url)) {
    throw new OutboundError(
      'proxy-setting',
      `${source} is wrong: use a URL such as http://proxy.example.com:3128, or name the relay's host in NO_PROXY`,
    );
  }
  return url;
}

/** User name and password are percent-encoded in a URL, and sent without. */
function canDecode({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}
