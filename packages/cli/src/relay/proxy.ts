import { getProxyForUrl } from 'proxy-from-env';
import { CliError, EXIT } from '../cli-error.ts';

/** The proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for this URL; undefined: none. */
export function proxyFor(url: URL): URL | undefined {
  const text = getProxyForUrl(url);
  if (text === '') return undefined;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  // The text is not repeated: it may hold a password.
  if (proxy === undefined || !/^https?:$/.test(proxy.protocol)) {
    throw new CliError(
      'The proxy of the environment (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY) is not an http:// or https:// URL. Correct it, or name the relay in NO_PROXY.',
      EXIT.usage,
    );
  }
  return proxy;
}
