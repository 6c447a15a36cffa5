/** What the console does when there is nothing yet, when the master is gone and comes back, when the session ends, and for those who may only look. */
import test from "ava";
import { createApiClient } from "fleetcron/client/api";
import { createRest } from "fleetcron/client/rest";
import { systemClock } from "fleetcron-shared/base/clock";
import { logIn, screenshot, startBrowser, type TestBrowser } from "../support/browser.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { type Fleet, startFleet } from "../support/fleet.ts";

let etcd: EtcdServer;
let fleet: Fleet;
let browser: TestBrowser;
const job = { run: { command: { script: "true" } }, rules: [{ mode: "cycle", timer: "0 0 1 1 *" }] } as const;

test.before(async () => {
  etcd = await startEtcd();
  [fleet, browser] = await Promise.all([startFleet({ etcd: [etcd.endpoint], nodes: [], masters: 2 }), startBrowser()]);
});

test.after.always(async () => {
  await browser?.[Symbol.asyncDispose]();
  await fleet?.[Symbol.asyncDispose]();
  await etcd?.[Symbol.asyncDispose]();
});

test.serial("a login link logs in once and leaves the address; nothing there yet; the first job is made in the browser", async (t) => {
  const { path } = await fleet.api.loginLink();
  const { page, close } = await browser.visit();
  await page.goto(fleet.url + path);
  await page.getByRole("heading", { name: "There are no jobs yet" }).waitFor();
  t.false(page.url().includes("login"), page.url());
  const cookies = await page.context().cookies();
  t.deepEqual(
    cookies.map(({ httpOnly, sameSite }) => ({ httpOnly, sameSite })),
    [{ httpOnly: true, sameSite: "Strict" }],
  );
  t.is(await page.evaluate("document.cookie + JSON.stringify(sessionStorage)"), "{}", "no secret is within reach of scripts");
  await screenshot(page, "empty");
  const again = await browser.visit();
  await again.page.goto(fleet.url + path);
  await again.page.getByText("the login link was used").first().waitFor();
  await again.close();

  await page.getByRole("link", { name: "New job" }).click();
  const dialog = page.getByRole("dialog");
  const area = dialog.getByLabel("Definition as YAML");
  await area.fill((await area.inputValue()).replace("group/id", "first/job"));
  await dialog.getByText("is new").waitFor();
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByRole("row").filter({ hasText: "first/job" }).waitFor();
  t.is((await fleet.api.jobs({})).items.length, 1);
  await close();
});

test.serial("a wrong token is refused in words; a viewer sees everything and changes nothing", async (t) => {
  const { page, close } = await browser.visit();
  await page.goto(fleet.url);
  await page.getByLabel("Access token").fill("fct_wrong");
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await page.getByRole("alert").getByText("the token is not known here").waitFor();
  const { token } = await fleet.api.createToken({ name: "eye", role: "viewer" });
  await logIn(page, { url: fleet.url, token }, "jobs/first/job");
  await page.getByRole("region", { name: "Next ticks" }).waitFor();
  t.is(await page.getByRole("button", { name: "Run now" }).count(), 0);
  t.is(await page.getByRole("button", { name: "Pause" }).count(), 0);
  t.is(await page.getByRole("navigation").getByRole("link", { name: "Tokens" }).count(), 0);
  await close(403);
});

test.serial("the session ends when its token is revoked: one is told, and back in with another token all is there", async (t) => {
  const { token } = await fleet.api.createToken({ name: "short", role: "operator" });
  const { page, close } = await browser.visit();
  await logIn(page, { url: fleet.url, token }, "jobs");
  await page.getByRole("row").filter({ hasText: "first/job" }).waitFor();
  await fleet.api.revokeToken("short");
  await page.goto(`${fleet.url}/#/jobs/first/job`);
  await page.getByText("Your session has ended").waitFor();
  await screenshot(page, "session-ended");
  await page.getByLabel("Access token").fill(fleet.token);
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await page.getByRole("heading", { name: "first/job" }).waitFor();
  await close();
  t.pass();
});

test.serial("the master is killed, things change meanwhile, it comes back: the page says so and is right again by itself", async (t) => {
  const [master] = fleet.masters;
  const { page, close } = await browser.visit();
  await logIn(page, fleet, "jobs");
  await page.getByRole("banner").getByText("live").waitFor();
  await page.getByRole("row").filter({ hasText: "first/job" }).waitFor();
  let asked = 0;
  page.on("request", () => {
    asked += 1;
  });
  await master!.kill();
  await page.getByRole("banner").getByText("master away").waitFor();
  await screenshot(page, "server-gone");
  t.is(await page.getByRole("row").filter({ hasText: "first/job" }).count(), 1, "what was known stays in sight");
  const api = createApiClient(createRest({ clock: systemClock, fetch }, { server: fleet.apiOf(1).server, token: fleet.token }));
  await api.apply({ files: [{ name: "x.json", text: JSON.stringify({ jobs: { "second/job": job } }) }] });
  await api.deleteJob({ group: "first", id: "job" });
  t.true(asked < 10, `${asked} requests while it was away`);
  await master!.restart();
  await page.getByRole("row").filter({ hasText: "second/job" }).waitFor();
  await page.getByRole("row").filter({ hasText: "first/job" }).waitFor({ state: "detached" });
  await page.getByRole("banner").getByText("live").waitFor();
  await close("gone");
});
