/** The log viewer: follows while it is written, also over a break of the master; goes anywhere in a large log, and finds what is far away. */
import test from "ava";
import { logIn, screenshot, startBrowser } from "../support/browser.ts";
import { startEtcd } from "../support/etcd.ts";
import { startFleet } from "../support/fleet.ts";
import { ended, runScript } from "../support/log-fleet.ts";

test("follow to the end over a killed master; then start, end and search in 30 MB", async (t) => {
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: [etcd.endpoint], nodes: ["a"] });
  await using browser = await startBrowser();
  const job = await runScript(
    fleet,
    "large",
    [
      'echo "the very first line"; hold',
      'echo "after the break"; hold',
      // 400,000 lines of 75 bytes, with one among them that is looked for.
      'awk \'BEGIN { for (i = 0; i < 400000; i++) { if (i == 150000) print "needle in the hay"; printf "%08d some words of a log line that is neither short nor long, really\\n", i } }\'',
      'printf "\\033[1;32mthe very last line\\033[0m\\n"',
    ].join("\n"),
    { log: { maxBytes: "64MiB" } },
  );
  const { page, close } = await browser.visit();
  await logIn(page, fleet, `executions/${job.execution}`);
  const card = page.getByRole("region", { name: "Log" }).first();
  const log = card.getByRole("region");
  await log.getByText("the very first line").waitFor();
  await fleet.masters[0]!.restart();
  job.release();
  await log.getByText("after the break").waitFor();
  job.release();
  await ended(fleet, job.execution);
  await log.getByText("the very last line").waitFor({ timeout: 30_000 });
  t.is(await log.getByText("the very last line").getAttribute("class"), "a-bold a-fg2");
  t.true(Number(await page.evaluate("document.querySelectorAll('.log-line').length")) < 400, "only the lines in sight are in the page");

  await page.reload();
  await log.getByText("the very last line").waitFor();
  await card.getByRole("button", { name: "Start" }).click();
  await log.getByText("the very first line").waitFor();
  await card.getByLabel("Search in the log").fill("NEEDLE in");
  await card.getByRole("button", { name: "Next" }).click();
  await log.getByText("needle in the hay").waitFor();
  await screenshot(page, "log-search");
  await card.getByRole("button", { name: "Next" }).click();
  await card.getByText("Nothing found").waitFor();
  await card.getByRole("button", { name: "End" }).click();
  await log.getByText("the very last line").waitFor();
  await card.getByRole("button", { name: "Previous" }).click();
  await log.getByText("needle in the hay").waitFor();
  await close("gone", 404);
});
