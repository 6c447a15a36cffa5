/**
 * Debian's chromium for tests: one browser per file, a fresh context per page. Whatever a page complains of (a script error, a refusal of the Content-Security-Policy)
 * is collected, and `close` throws it: no test passes over it.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const EXECUTABLE = "/usr/bin/chromium";
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"];
const LIMIT_MS = 20_000;

export type Visit = {
  readonly page: Page;
  /** What the browser complained of so far. */
  readonly complaints: string[];
  /** Ends the page; throws when there were complaints. Answers with one of `statuses` are expected; 401 is, because one asks who one is before the login. */
  close(...statuses: readonly (number | "gone")[]): Promise<void>;
};

export type TestBrowser = {
  readonly browser: Browser;
  /** A page of its own session. */
  visit(options?: BrowserContextOptions): Promise<Visit>;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function startBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({ executablePath: EXECUTABLE, args: ARGS });
  return {
    browser,
    async visit(options = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, locale: "en-GB", ...options });
      const page = await context.newPage();
      page.setDefaultTimeout(LIMIT_MS);
      const complaints: string[] = [];
      page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
      page.on("console", (message) => {
        if (message.type() === "error") complaints.push(`console: ${message.text()} (${message.location().url})`);
      });
      return {
        page,
        complaints,
        async close(...statuses) {
          await context.close();
          const known = [401, ...statuses].map((status) => (status === "gone" ? "net::ERR_" : `status of ${status} `));
          const left = complaints.filter((text) => !known.some((part) => text.includes(part)));
          if (left.length > 0) throw new Error(`the page complained:\n${left.join("\n")}`);
        },
      };
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

/** Logs in with a token and waits for the overview. */
export async function logIn(page: Page, at: { url: string; token: string }, path = ""): Promise<void> {
  await page.goto(at.url);
  await page.getByLabel("Access token").fill(at.token);
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  if (path !== "") await page.goto(`${at.url}/#/${path}`);
}

/** Into the folder of FLEETCRON_SCREENSHOTS, or test/browser/screenshots. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env.FLEETCRON_SCREENSHOTS ?? join(import.meta.dirname, "../browser/screenshots");
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
