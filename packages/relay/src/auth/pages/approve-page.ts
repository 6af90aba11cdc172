import type { PendingApproval } from '../approvals.ts';
import { html } from './html.ts';
import type { Page } from './layout.ts';

/** Somebody wants to sign in by SSH: yes or no. Needs no script. */
export function approvePage(options: {
  approval: PendingApproval;
  code: string;
  username: string;
  /** From where this page is looked at. */
  address: string;
  /** ms since the epoch. */
  now: number;
}): Omit<Page, 'nonce'> {
  const { approval, code, username, now } = options;
  const left = Math.max(0, Math.ceil((approval.expiresAt - now) / 1000));
  const elsewhere = approval.address !== options.address;
  return {
    title: 'Approve an SSH sign-in',
    body: html`<div class="card">
      <span class="who">Signed in as ${username}</span>
      <h1>Approve this SSH sign-in?</h1>
      <p>
        A terminal at <strong>${approval.address}</strong> wants to be let in as
        <strong>${username}</strong>. Compare the code with the one it shows:
      </p>
      <p class="compare">${approval.userCode}</p>
      ${
        elsewhere
          ? html`<p class="note warn">
              The terminal’s address is not the one you are looking from (${options.address}). That
              is usual when you work on another machine; otherwise deny.
            </p>`
          : undefined
      }
      <p class="soft">
        Approve only what you have just begun yourself: a link that somebody sent you lets them in.
      </p>
      <form method="post" action="/ssh/approve" class="choice">
        <input type="hidden" name="code" value="${code}" />
        <button name="decision" value="approve">Approve</button>
        <button name="decision" value="deny" class="second">Deny</button>
      </form>
      <dl>
        <dt>Workspace</dt>
        <dd>${approval.workspace ?? 'none named'}</dd>
        <dt>From</dt>
        <dd>${approval.address}</dd>
        <dt>Asked at</dt>
        <dd>${clockTime(approval.createdAt)}, ${left} s left</dd>
      </dl>
    </div>`,
  };
}

export function approvalDonePage(options: {
  approval: PendingApproval;
  approved: boolean;
}): Omit<Page, 'nonce'> {
  const { approval, approved } = options;
  return {
    title: approved ? 'Approved' : 'Denied',
    body: html`<div class="card">
      <h1>${approved ? 'Approved' : 'Denied'}</h1>
      ${
        approved
          ? html`<p>
              Go back to your terminal: the sign-in goes on there. You can close this page.
            </p>`
          : html`<p>
              Nobody was let in. If you did not begin this sign-in, somebody at
              <strong>${approval.address}</strong> tried to use your account.
            </p>`
      }
      <p><a class="button" href="/">Your workspaces</a></p>
    </div>`,
  };
}

export function approvalGonePage(
  problem = 'This link was used already, is older than two minutes or was never valid.',
): Omit<Page, 'nonce'> {
  return {
    title: 'Nothing to approve',
    body: html`<div class="card">
      <h1>Nothing to approve</h1>
      <p>${problem}</p>
      <p class="soft">Begin the sign-in again in your terminal: it shows a new link.</p>
      <p><a class="button" href="/">Your workspaces</a></p>
    </div>`,
  };
}

/** `12:34:56 UTC`. */
function clockTime(at: number): string {
  return `${new Date(at).toISOString().slice(11, 19)} UTC`;
}
