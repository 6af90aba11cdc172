/// <reference lib="dom" />
import assert from 'node:assert/strict';
import type { Frame, Locator, Page } from 'playwright-core';

const LOAD_MS = 60_000;
const STEP_MS = 20_000;

/** VS Code in a page, driven as a person would. */
export class Workbench {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** Resolves once the workbench is on screen and connected to its server. */
  async ready(): Promise<void> {
    await this.page.locator('.monaco-workbench').waitFor({ timeout: LOAD_MS });
    await this.page.locator('.explorer-folders-view .monaco-list-row').first().waitFor({
      timeout: LOAD_MS,
    });
    await this.remoteConnected();
  }

  /** The remote indicator in the status bar names the host, instead of "Opening…" or "Disconnected". */
  async remoteConnected(): Promise<void> {
    const offline = this.page.locator('.monaco-dialog-box', { hasText: /reconnect/i });
    await offline.waitFor({ state: 'detached', timeout: LOAD_MS });
  }

  /** Runs a command of the palette by its name. */
  async command(name: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget .input');
    await this.page.keyboard.press('F1');
    await input.waitFor({ timeout: STEP_MS });
    await input.fill(`>${name}`);
    // Similar names may be listed before it: take the row with exactly this one.
    const rows = this.page.locator('.quick-input-list .monaco-list-row');
    const exact = rows.filter({
      has: this.page.locator('.label-name').getByText(name, { exact: true }),
    });
    await exact.first().click({ timeout: STEP_MS });
    await input.waitFor({ state: 'hidden', timeout: STEP_MS });
  }

  /** Opens a file of the folder by its name, through "Go to File". */
  async openFile(name: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget .input');
    await this.page.keyboard.press('Control+P');
    await input.waitFor({ timeout: STEP_MS });
    await input.fill(name);
    const row = this.page.locator('.quick-input-list .monaco-list-row', { hasText: name }).first();
    await row.waitFor({ timeout: STEP_MS });
    await this.page.keyboard.press('Enter');
    await this.tab(name).waitFor({ timeout: STEP_MS });
  }

  tab(name: string): Locator {
    return this.page.locator('.tabs-container .tab', { hasText: name }).first();
  }

  /** Opens a terminal, and resolves once its prompt is on screen and it has the focus. */
  async openTerminal(): Promise<void> {
    await this.command('Terminal: Create New Terminal');
    const textarea = this.page.locator('.terminal .xterm-helper-textarea').last();
    await textarea.waitFor({ state: 'attached', timeout: STEP_MS });
    await this.terminalShows(/[$#] ?$/m);
  }

  /** Types a line into the terminal. */
  async type(line: string): Promise<void> {
    // Other panes may take the focus while they load.
    const textarea = this.page.locator('.terminal .xterm-helper-textarea').last();
    await textarea.focus();
    await this.page.waitForFunction(
      () => document.activeElement?.classList.contains('xterm-helper-textarea') === true,
      undefined,
      { timeout: STEP_MS },
    );
    await this.page.keyboard.type(line);
    await this.page.keyboard.press('Enter');
  }

  /** Resolves once the terminal's screen matches. Works with the DOM renderer, see `settings`. */
  async terminalShows(pattern: RegExp, boundMs = STEP_MS): Promise<void> {
    const deadline = Date.now() + boundMs;
    let text = '';
    for (;;) {
      text = (await this.page.locator('.terminal .xterm-rows > div').allInnerTexts())
        .map((row) => row.replaceAll('\u00a0', ' ').trimEnd())
        .join('\n')
        .trimEnd();
      if (pattern.test(text)) return;
      assert.ok(Date.now() < deadline, `The terminal does not show ${pattern}, but:\n${text}`);
      await this.page.waitForTimeout(50);
    }
  }

  /** The frame of a webview in which an element shows the text. */
  async webviewWith(selector: string, text: RegExp): Promise<Frame> {
    const deadline = Date.now() + STEP_MS;
    for (;;) {
      for (const frame of this.page.frames()) {
        const found = frame.locator(selector, { hasText: text });
        // Frames come and go while a webview loads.
        if ((await found.count().catch(() => 0)) > 0) return frame;
      }
      assert.ok(Date.now() < deadline, `No webview has a ${selector} with ${text}`);
      await this.page.waitForTimeout(50);
    }
  }

  /** Types into the open editor, at its end, and saves. */
  async appendAndSave(text: string): Promise<void> {
    await this.page.locator('.editor-instance .view-lines').last().click();
    await this.page.keyboard.press('Control+End');
    await this.page.keyboard.type(text);
    await this.page.keyboard.press('Control+S');
    await this.page.locator('.tabs-container .tab.dirty').waitFor({
      state: 'detached',
      timeout: STEP_MS,
    });
  }
}
