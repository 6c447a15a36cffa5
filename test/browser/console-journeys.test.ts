/** What an operator does at night, in a real browser, on a real fleet: find what failed, read its log, see why, run it again, pause it, change it, approve. */
import test from "ava";
import { logIn, screenshot, startBrowser, type TestBrowser, type Visit } from "../support/browser.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";

let etcd: EtcdServer;
let fleet: Fleet;
let browser: TestBrowser;
const never = { mode: "cycle", timer: "0 0 1 1 *" } as const;

test.before(async () => {
  etcd = await startEtcd();
  [fleet, browser] = await Promise.all([startFleet({ etcd: [etcd.endpoint], nodes: ["alpha", "beta"] }), startBrowser()]);
  await fleet.apply({
    "db/backup": {
      name: "nightly backup",
      labels: { tier: "gold" },
      kind: "interval",
      run: { command: { script: 'echo "connecting to db-7"; printf "\\033[31mfatal: disk is full\\033[0m\\n" >&2; exit 3' } },
      rules: [never],
    },
    "web/ok": { run: { command: { script: "echo fine" } }, rules: [never] },
    "web/hello": {
      run: { command: { script: 'echo "hello $WHOM"' } },
      params: [{ name: "WHOM", value: "world" }],
      kind: "interval",
      rules: [never],
    },
  });
  await fleet.api.runJob({ group: "db", id: "backup" }, {});
  await eventually("the failure is filed", async () => (await fleet.records("db/backup")).length > 0);
});

test.after.always(async () => {
  await browser?.[Symbol.asyncDispose]();
  await fleet?.[Symbol.asyncDispose]();
  await etcd?.[Symbol.asyncDispose]();
});

async function visit(path = ""): Promise<Visit> {
  const made = await browser.visit();
  await logIn(made.page, fleet, path);
  return made;
}

test.serial("find what failed, read its log, see why, run it again", async (t) => {
  const { page, close } = await visit();
  await page.getByRole("banner").getByText("live").waitFor();
  const wrong = page.getByRole("region", { name: "What went wrong" });
  await wrong.getByText("exit:3").waitFor();
  await screenshot(page, "overview");
  await wrong.getByRole("link", { name: "db/backup" }).click();

  await page.getByRole("heading", { name: "db/backup" }).waitFor();
  const log = page.getByRole("region", { name: "Log" }).getByRole("region");
  await log.getByText("fatal: disk is full").waitFor();
  t.is(await log.getByText("fatal: disk is full").getAttribute("class"), "a-fg1", "the colour of the terminal is a class");
  await screenshot(page, "execution");

  await page.goto(`${fleet.url}/#/jobs/db/backup`);
  const why = page.getByRole("region", { name: "Why?" });
  await why.getByText("The job did not exist then").waitFor();
  await page.getByRole("region", { name: "Records" }).getByText("exit:3").first().waitFor();
  await screenshot(page, "job");

  await page.getByRole("button", { name: "Run now" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Run now" }).click();
  await page.getByRole("region", { name: "This attempt" }).waitFor();
  await eventually("it ran again", async () => (await fleet.records("db/backup")).length === 2);
  await page.getByRole("heading", { level: 1 }).getByText("exit:3").waitFor();
  // The execution is looked at before it has begun.
  await close(404);
  t.pass();
});

test.serial("run with a parameter; the log comes by itself", async (t) => {
  const { page, close } = await visit("jobs/web/hello");
  await page.getByRole("button", { name: "Run now" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Node").selectOption("beta");
  await dialog.getByLabel("WHOM").fill("night shift");
  await dialog.getByRole("button", { name: "Run now" }).click();
  await page.getByText("hello night shift").waitFor();
  const [record] = await eventually("it is filed", async () => {
    const found = await fleet.records("web/hello");
    return found.length > 0 && found;
  });
  t.is(record?.nodeId, "beta");
  await close(404);
});

test.serial("pause and resume, and every page shows it", async (t) => {
  const { page, close } = await visit("jobs/web/ok");
  const other = await visit("jobs");
  const row = other.page.getByRole("row").filter({ hasText: "web/ok" });
  await row.waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).waitFor();
  await row.getByText("paused").waitFor();
  t.true((await fleet.api.job({ group: "web", id: "ok" })).spec.pause);
  await page.getByRole("button", { name: "Resume" }).click();
  await row.getByText("paused").waitFor({ state: "detached" });
  await other.close();
  await close();
});

test.serial("each due tick has its verdict, and leads to the answer why", async (t) => {
  await fleet.apply({
    "web/tick": { kind: "interval", run: { command: { script: "exit 4" } }, rules: [{ mode: "cycle", timer: "*/2 * * * * *" }] },
  });
  await eventually("two ticks have failed", async () => (await fleet.records("web/tick")).length >= 2);
  const { page, close } = await visit("jobs/web/tick");
  const calendar = page.getByRole("region", { name: "Due ticks" });
  const failed = calendar.getByRole("link", { name: /failed/ });
  await failed.first().waitFor();
  const before = await failed.count();
  await eventually("further ticks come by themselves", async () => (await failed.count()) > before);
  await fleet.api.pauseJob({ group: "web", id: "tick" });
  await page.getByRole("heading", { level: 1 }).getByText("paused").waitFor();
  await failed.first().click();
  await page.getByRole("region", { name: "Why?" }).getByText("and failed (exit:4)").waitFor();
  t.regex(page.url(), /at=20/);
  await close();
});

test.serial("edit as YAML: what is wrong is told by line, what fires differently before it is saved", async (t) => {
  const { page, close } = await visit("jobs/web/ok");
  await page.getByRole("button", { name: "Edit" }).click();
  const dialog = page.getByRole("dialog");
  const area = dialog.getByLabel("Definition as YAML");
  const text = await area.inputValue();
  t.true(text.includes("timer: 0 0 1 1 *"), text);
  await area.fill(text.replace("0 0 1 1 *", "61 * * * *"));
  const line = text.split("\n").findIndex((one) => one.includes("timer")) + 1;
  await dialog.getByRole("button", { name: `line ${line}` }).waitFor();
  t.true(await dialog.getByRole("button", { name: "Save" }).isDisabled());
  await screenshot(page, "edit-wrong");

  await area.fill(text.replace("0 0 1 1 *", "15 4 * * *"));
  await dialog.getByText('+ rules[0].timer: "15 4 * * *"').waitFor();
  await dialog.getByRole("deletion").getByText("January").waitFor();
  await dialog.getByRole("insertion").getByText("04:15").waitFor();
  await screenshot(page, "edit-diff");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByRole("region", { name: "Next ticks" }).getByText("At 04:15").waitFor();
  t.is((await fleet.api.job({ group: "web", id: "ok" })).spec.rules[0]?.timer, "15 4 * * *");
  await close(400);
});

test.serial("approve a task that waits, follow the run to its end, run it again", async (t) => {
  const job = { run: { command: { script: 'echo "TAG=v7" > "$FLEETCRON_RESULT"; echo ok' } } };
  const spec = {
    stages: [
      { name: "build", tasks: [{ name: "compile", job }] },
      { name: "ship", tasks: [{ name: "deploy", audit: { auditors: ["admin"] }, job }] },
    ],
  };
  await fleet.api.apply({ files: [{ name: "p.json", text: JSON.stringify({ pipelines: { "app/release": spec } }) }] });
  const { page, close } = await visit("pipelines/app/release");
  await page.getByRole("button", { name: "Run now" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Run now" }).click();
  await page.getByRole("button", { name: "Approve deploy" }).waitFor();
  await screenshot(page, "run");
  const elsewhere = await visit();
  await elsewhere.page.getByRole("region", { name: "Waiting for a decision" }).getByRole("link", { name: "app/release" }).waitFor();
  await page.getByRole("button", { name: "Approve deploy" }).click();
  await page.getByLabel("Comment").fill("go ahead");
  await page.getByRole("dialog").getByRole("button", { name: "Approve" }).click();
  await page.getByRole("heading", { level: 1 }).getByText("succeeded").waitFor();
  await page.getByText("go ahead").waitFor();
  await elsewhere.page.getByRole("region", { name: "Waiting for a decision" }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Run again", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Run again" }).click();
  await eventually("a second attempt", async () => (await fleet.api.pipelineRuns({ limit: 1 })).items[0]?.attempt === 2);
  await elsewhere.close();
  await close();
  t.pass();
});

test.serial("names and output are data, never markup", async (t) => {
  const evil = '<img src=x onerror="window.hacked=1">';
  await fleet.apply({
    "evil/job": {
      ...{ name: evil, description: evil, owner: evil, labels: { note: evil }, kind: "interval" },
      run: { command: { script: `printf '%s\\n' '${evil}' '\u001b]8;;javascript:alert(1)\u0007link\u001b]8;;\u0007'` } },
      rules: [never],
    },
  });
  const { orders } = await fleet.api.runJob({ group: "evil", id: "job" }, {});
  await eventually("it is filed", async () => (await fleet.records("evil/job")).length > 0);
  const { page, close } = await visit("jobs?q=evil");
  await page.getByRole("row").filter({ hasText: evil }).waitFor();
  await page.goto(`${fleet.url}/#/jobs/evil/job`);
  await page.getByText(evil).first().waitFor();
  await page.goto(`${fleet.url}/#/executions/${orders[0]?.execution}`);
  await page.getByRole("region", { name: "Log" }).getByText(evil).waitFor();
  await page.goto(`${fleet.url}/#/jobs/${encodeURIComponent(evil)}/x`);
  await page.getByText("must be 1 to 63").first().waitFor();
  t.deepEqual(
    await page.evaluate("[window.hacked, document.querySelectorAll('img, a[href^=javascript]').length]"),
    [undefined, 0].map((x) => x ?? undefined),
  );
  await close(400);
});

test.serial("by keyboard alone: search, rows, open, go, help", async (t) => {
  const { page, close } = await visit();
  await page.keyboard.press("g");
  await page.keyboard.press("j");
  await page.getByRole("heading", { name: "Jobs", level: 1 }).waitFor();
  await page.getByRole("row").filter({ hasText: "web/ok" }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("web/");
  await page.getByRole("row").filter({ hasText: "db/backup" }).waitFor({ state: "detached" });
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.locator("a:focus", { hasText: "web/hello" }).waitFor();
  await page.keyboard.press("j");
  await page.locator("a:focus", { hasText: "web/ok" }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "web/ok" }).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("every 90 seconds").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  t.regex(page.url(), /#\/jobs\/web\/ok/);
  await close();
});
