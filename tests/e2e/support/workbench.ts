/// <reference lib="dom" />
import assert from 'node:assert/strict';
import type { Frame, Locator, Page } from 'playwright-core';

const LOAD_MS = 60_000;
const STEP_MS = 20_000;
const ECHO_MS = 4_000;

/** Matches an element whose whole text is this. */
function exactly(text: string): RegExp {
  return new RegExp(`^\\s*${text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\s*$`);
}

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
      has: this.page.locator('.label-name', { hasText: exactly(name) }),
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
    const row = this.page.locator('.quick-input-list .monaco-list-row').filter({
      has: this.page.locator('.label-name', { hasText: exactly(name) }),
    });
    await row.first().click({ timeout: STEP_MS });
    await this.activeTab(name).waitFor({ timeout: STEP_MS });
  }

  /** The tab of exactly this name, when it is the one in front. */
  activeTab(name: string): Locator {
    return this.page.locator(`.tabs-container .tab.active[data-resource-name="${name}"]`);
  }

  /** Opens a terminal, and resolves once its prompt is on screen and it has the focus. */
  async openTerminal(): Promise<void> {
    await this.command('Terminal: Create New Terminal');
    const textarea = this.page.locator('.terminal .xterm-helper-textarea').last();
    await textarea.waitFor({ state: 'attached', timeout: STEP_MS });
    await this.terminalShows(/[$#] ?$/m);
  }

  /**
   * Enters a line into the terminal. Other panes may take the focus while they
   * load, and early keys get lost: so Enter is pressed only once the line is on screen.
   */
  async type(line: string): Promise<void> {
    const textarea = this.page.locator('.terminal .xterm-helper-textarea').last();
    const wanted = line.replaceAll(/\s/g, '');
    for (let attempt = 1; ; attempt += 1) {
      await textarea.focus();
      await this.page.keyboard.insertText(line);
      const echoed = await this.#within(ECHO_MS, async () =>
        (await this.#terminalText()).replaceAll(/\s/g, '').endsWith(wanted),
      );
      if (echoed) break;
      assert.ok(attempt < 5, `The terminal does not echo what is typed: ${line}`);
      await textarea.focus();
      await this.page.keyboard.press('Control+C');
    }
    await this.page.keyboard.press('Enter');
  }

  /** Resolves once the terminal's screen matches; see `makeReadable`. */
  async terminalShows(pattern: RegExp, boundMs = STEP_MS): Promise<void> {
    const shown = await this.#within(boundMs, async () => pattern.test(await this.#terminalText()));
    assert.ok(shown, `The terminal does not show ${pattern}, but:\n${await this.#terminalText()}`);
  }

  async #terminalText(): Promise<string> {
    const rows = await this.page.locator('.terminal .xterm-rows > div').allInnerTexts();
    return rows
      .map((row) => row.replaceAll('\u00a0', ' ').trimEnd())
      .join('\n')
      .trimEnd();
  }

  async #within(boundMs: number, check: () => Promise<boolean>): Promise<boolean> {
    const deadline = Date.now() + boundMs;
    while (!(await check())) {
      if (Date.now() > deadline) return false;
      await this.page.waitForTimeout(50);
    }
    return true;
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
