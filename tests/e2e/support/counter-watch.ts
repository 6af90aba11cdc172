/// <reference lib="dom" />
import type { Page } from 'playwright-core';

/** What a page saw since the last time it was asked. */
export interface Seen {
  /** The longest time in which the counter in the terminal stood still, in ms. */
  readonly stallMs: number;
  /** The last number on the screen; 0: none. */
  readonly last: number;
  /** Numbers on the screen that do not follow the one before them. */
  readonly gaps: readonly string[];
  /** Dialogs, notifications and the status bar, when they spoke of connecting again. */
  readonly said: readonly string[];
  /** Whether the page is the one that was watched first. */
  readonly samePage: boolean;
}

const LOOK_MS = 20;

interface Watching {
  last: number;
  since: number;
  stall: number;
  gaps: Set<string>;
  said: Set<string>;
}

/** A line for the shell: `tick 1`, `tick 2` … for as long as the terminal lives. */
export const COUNTER = 'i=0; while sleep 0.05; do i=$((i+1)); echo "tick $i"; done';

/** Looks at the terminal and at what VS Code says, from inside of the page; see `makeReadable`. */
export async function watchCounter(page: Page): Promise<() => Promise<Seen>> {
  await page.evaluate((lookMs) => {
    const watching: Watching = {
      last: 0,
      since: performance.now(),
      stall: 0,
      gaps: new Set(),
      said: new Set(),
    };
    Object.assign(window, { counterWatch: watching });
    setInterval(() => {
      const numbers = [...document.querySelectorAll('.terminal .xterm-rows > div')]
        .map((row) => /^tick (\d+)$/.exec(row.textContent.replaceAll('\u00a0', ' ').trim())?.[1])
        .filter((number) => number !== undefined)
        .map(Number);
      for (let i = 1; i < numbers.length; i++) {
        if (numbers[i] !== numbers[i - 1]! + 1) {
          watching.gaps.add(`${numbers[i - 1]} ${numbers[i]}`);
        }
      }
      const last = numbers.at(-1) ?? 0;
      const now = performance.now();
      watching.stall = Math.max(watching.stall, now - watching.since);
      if (last !== watching.last) watching.since = now;
      watching.last = last;
      const places = '.monaco-dialog-box, .notification-list-item, .statusbar-item[id*="host"]';
      for (const place of document.querySelectorAll(places)) {
        if (/reconnect|disconnect|connection/i.test(place.textContent)) {
          watching.said.add(place.textContent);
        }
      }
    }, lookMs);
  }, LOOK_MS);
  return () =>
    page.evaluate(() => {
      const watching = (window as { counterWatch?: Watching }).counterWatch;
      if (watching === undefined) {
        return { stallMs: 0, last: 0, gaps: [], said: [], samePage: false };
      }
      const { stall, last, gaps, said } = watching;
      Object.assign(watching, { stall: 0, gaps: new Set(), said: new Set() });
      return {
        stallMs: Math.round(stall),
        last,
        gaps: [...gaps],
        said: [...said],
        samePage: true,
      };
    });
}
