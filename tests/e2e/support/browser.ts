import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { existsSync } from 'node:fs';

const ARTIFACTS = fileURLToPath(new URL('../../artifacts', import.meta.url));
const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const FLAGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-proxy-server',
];

export interface TestBrowser extends AsyncDisposable {
  /** A person with a browser of their own: separate cookies and storage. */
  person(): Promise<BrowserContext>;
}

/**
 * Starts the system's Chromium. With `domain`, that name and all below it lead
 * to this machine, and certificates made by the tests are accepted.
 */
export async function startBrowser(options: { domain?: string } = {}): Promise<TestBrowser> {
  const executablePath = PATHS.find((path) => existsSync(path));
  if (executablePath === undefined) {
    throw new Error(`Chromium is not installed (looked for ${PATHS.join(', ')}).`);
  }
  const { domain } = options;
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    chromiumSandbox: false,
    args: [
      ...FLAGS,
      ...(domain === undefined
        ? []
        : [
            `--host-resolver-rules=MAP *.${domain} 127.0.0.1, MAP ${domain} 127.0.0.1`,
            '--ignore-certificate-errors',
          ]),
    ],
  });
  return {
    person: () =>
      browser.newContext({
        viewport: { width: 1280, height: 800 },
        ignoreHTTPSErrors: domain !== undefined,
      }),
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

/** Keeps a picture of the page in tests/artifacts. */
export async function screenshot(page: Page, name: string): Promise<void> {
  mkdirSync(ARTIFACTS, { recursive: true });
  await page.screenshot({ path: join(ARTIFACTS, `${name}.png`) });
}

/** Runs `work`; when it fails, keeps a picture of what the page showed. */
export async function withScreenshot<T>(
  page: Page,
  name: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await screenshot(page, `${name}-failed`).catch(() => undefined);
    throw error;
  }
}
