import type { SignInProvider } from '../provider.ts';
import { html, type Html } from './html.ts';
import type { Page } from './layout.ts';

/** The sign-in page: one form or button for each provider. */
export function signInPage(options: {
  providers: readonly SignInProvider[];
  returnTo: string;
  /** What went wrong before. */
  problem?: string | undefined;
}): Omit<Page, 'nonce'> {
  const ways = options.providers.map((provider) => way(provider, options.returnTo));
  return {
    title: 'Sign in',
    body: html`<div class="card">
      <h1>Sign in</h1>
      ${options.problem === undefined ? undefined : html`<p class="note" role="alert">${options.problem}</p>`}
      ${ways}
      <p class="small soft">
        On the machine where the relay was started, <code>npm start</code> prints a link that signs
        you in.
      </p>
    </div>`,
  };
}

function way(provider: SignInProvider, returnTo: string): Html {
  if (provider.kind === 'redirect') {
    return html`<form method="post" action="/sign-in">
      <input type="hidden" name="provider" value="${provider.id}" /><input
        type="hidden"
        name="return"
        value="${returnTo}"
      />
      <p><button>${provider.label}</button></p>
    </form>`;
  }
  return html`<form method="post" action="/sign-in">
    <input type="hidden" name="provider" value="${provider.id}" /><input
      type="hidden"
      name="return"
      value="${returnTo}"
    />
    <label for="secret-${provider.id}">${provider.label}</label>
    <input
      id="secret-${provider.id}"
      name="secret"
      type="password"
      autocomplete="current-password"
      required
      autofocus
      maxlength="256"
      spellcheck="false"
      autocapitalize="off"
      placeholder="burrow_pat_…"
    />
    <p><button>Sign in</button></p>
  </form>`;
}

/** Instead of using up a link that a browser only fetched ahead. */
export function confirmLinkPage(code: string): Omit<Page, 'nonce'> {
  return {
    title: 'Sign in',
    body: html`<div class="card">
      <h1>Sign in to Burrow</h1>
      <p>This link signs you in once.</p>
      <form method="get" action="/sign-in">
        <input type="hidden" name="code" value="${code}" /><button>Continue</button>
      </form>
    </div>`,
  };
}

/** A person who is signed in asked for a workspace that they may not open, or that is none. */
export function noWorkspacePage(host: string): Omit<Page, 'nonce'> {
  return {
    title: 'No such workspace',
    body: html`<div class="card">
      <h1>No such workspace</h1>
      <p>There is no workspace at <code>${host}</code>, or you may not open it.</p>
      <p class="soft">Check the name in the address, or ask the workspace’s owner.</p>
      <p><a class="button" href="/">Your workspaces</a></p>
    </div>`,
  };
}

export function badHandOverPage(reason: string): Omit<Page, 'nonce'> {
  return {
    title: 'Signing in did not finish',
    body: html`<div class="card">
      <h1>Signing in did not finish</h1>
      <p>${reason}</p>
      <p class="soft">Open the workspace’s address again.</p>
      <p><a class="button" href="/">Your workspaces</a></p>
    </div>`,
  };
}
