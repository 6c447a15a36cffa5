/** Logging in to the console through a real OpenID provider: who gets which role, and every way in that must be none. */
import { writeFileSync } from "node:fs";
import test from "ava";
import { startBrowser } from "../support/browser.ts";
import { startEtcd } from "../support/etcd.ts";
import { failToServe, type MasterProcess, startMasterProcess } from "../support/master.ts";
import { type Browser, CLIENT, createBrowser, type OpenidProvider, startOpenidProvider } from "../support/openid.ts";
import { tempFolder } from "../support/processes.ts";

const PEOPLE = {
  "sub-1": { preferred_username: "anna", groups: ["staff", "dba"] },
  "sub-2": { preferred_username: "vera", groups: ["staff"] },
  "sub-3": { preferred_username: "noone", groups: ["visitors"] },
  "sub-4": { preferred_username: "admin", email: "admin", groups: "fleet-admins" },
};
const ROLES = ["operator@db+web:groups=dba", "viewer:groups=staff", "admin:groups=fleet-admins"];

type World = { provider: OpenidProvider; args: string[]; [Symbol.asyncDispose](): Promise<void> };

async function startWorld(host?: string): Promise<World> {
  const provider = await startOpenidProvider(PEOPLE, host);
  const folder = tempFolder();
  const file = folder.file("secret");
  writeFileSync(file, `${CLIENT.secret}\n`);
  const args = [
    ...["--oidc-issuer", provider.issuer, "--oidc-client-id", CLIENT.id, "--oidc-client-secret-file", file],
    ...["--oidc-name", "Test login", "--oidc-scopes", "profile,groups", ...ROLES.flatMap((row) => ["--oidc-roles", row])],
  ];
  const end = async () => {
    await provider[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  };
  return { provider, args, [Symbol.asyncDispose]: end };
}

const START = "/api/v1/session/oidc";
const redirectOf = (master: MasterProcess) => `${master.url}${START}/callback`;

/** Up to the address that the provider sends the browser back to. */
async function goUntilBack(
  browser: Browser,
  master: MasterProcess,
  provider: OpenidProvider,
  person: string,
  edit = (_: URL) => {},
): Promise<URL> {
  const first = await browser.get(`${master.url}${START}`);
  if (first.to === undefined) throw new Error(`not sent to the provider: ${first.status} ${first.text}`);
  edit(first.to);
  return browser.goThrough(provider, first.to, person);
}

async function ask(browser: Browser, url: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const { status, text } = await browser.get(url, { accept: "application/json" });
  return { status, body: JSON.parse(text) as Record<string, unknown> };
}

test("people log in with the role that the first fitting row gives, as themselves; who fits none stays out", async (t) => {
  await using etcd = await startEtcd();
  await using world = await startWorld();
  const { provider } = world;
  await using master = await startMasterProcess({ ...etcd, args: world.args });
  provider.open(redirectOf(master));
  const methods = await ask(createBrowser(), `${master.url}/api/v1/session/methods`);
  t.deepEqual(methods.body, { token: true, oidc: { name: "Test login", path: START } });

  const anna = createBrowser();
  const begun = await anna.get(`${master.url}${START}`);
  t.is(begun.status, 302);
  t.like(Object.fromEntries(begun.to?.searchParams ?? []), {
    response_type: "code",
    client_id: CLIENT.id,
    redirect_uri: redirectOf(master),
    scope: "openid profile groups",
    code_challenge_method: "S256",
  });
  t.regex(
    begun.headers.get("set-cookie") ?? "",
    /^fleetcron-\w{8}-login=[\w-]{51}; Path=\/api\/v1\/session\/oidc; Max-Age=600; HttpOnly; SameSite=Lax$/,
  );
  const back = await anna.goThrough(provider, begun.to as URL, "sub-1");
  t.is(back.origin + back.pathname, redirectOf(master));
  // What else is in the address leads nowhere.
  back.searchParams.set("next", "https://evil.example");
  const landed = await anna.get(back);
  t.is(landed.status, 302);
  t.is(landed.headers.get("location"), "/");
  t.regex(landed.headers.getSetCookie().join("\n"), /^fleetcron-\w{8}=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict$/m);
  const session = await ask(anna, `${master.url}/api/v1/session`);
  t.like(session, { status: 200, body: { type: "user", name: "oidc:anna", role: "operator", groups: ["db", "web"] } });
  t.like(await ask(anna, `${master.url}/api/v1/globals`), { status: 403, body: { code: "auth/scope" } });

  const vera = createBrowser();
  t.is((await vera.get(await goUntilBack(vera, master, provider, "sub-2"))).headers.get("location"), "/");
  t.like(await ask(vera, `${master.url}/api/v1/session`), { body: { name: "oidc:vera", role: "viewer" } });

  const nobody = createBrowser();
  const refused = await nobody.get(await goUntilBack(nobody, master, provider, "sub-3"));
  t.is(refused.status, 403);
  t.regex(refused.headers.get("content-type") ?? "", /^text\/html/);
  t.regex(refused.text, /auth\/no-role.*href="\/"/);
  t.like(await ask(nobody, `${master.url}/api/v1/session`), { status: 401, body: { code: "auth/missing" } });

  const boss = createBrowser();
  await boss.get(await goUntilBack(boss, master, provider, "sub-4"));
  const { body } = await ask(boss, `${master.url}/api/v1/session`);
  t.like(body, { name: "oidc:admin", role: "admin" }, "never the name of a token");
  const change = (path: string, method: string, json: object) =>
    fetch(`${master.url}/api/v1${path}`, {
      method,
      headers: {
        "content-type": "application/json",
        "x-fleetcron-csrf": String(body.csrf),
        cookie: [...boss.cookies(master.url)].map(([name, value]) => `${name}=${value}`).join("; "),
      },
      body: JSON.stringify(json),
    });
  t.is((await change("/globals/X", "PUT", { value: "1" })).status, 200);
  t.is((await change("/session/links", "POST", {})).status, 403, "a link is in the name of a token");
  const { body: sessions } = await master.ask<{ items: { id: string; user: { name: string; subject: string } }[] }>("GET", "/sessions");
  t.deepEqual(sessions.items.map(({ user }) => user.subject).sort(), ["sub-1", "sub-2", "sub-4"]);
  const { body: audit } = await master.ask<{ items: { who: object; changes: { kind: string; action: string; after?: object }[] }[] }>(
    "GET",
    "/audit?who=oidc:admin",
  );
  t.deepEqual(
    audit.items.map(({ who, changes }) => [who, changes[0]?.kind]),
    [
      [{ type: "user", name: "oidc:admin", role: "admin" }, "global"],
      [{ type: "user", name: "oidc:admin", role: "admin" }, "session"],
    ],
  );
  t.like(audit.items[1]?.changes[0]?.after, { type: "oidc", subject: "sub-4" });

  await master.ask("DELETE", `/sessions/${sessions.items.find(({ user }) => user.subject === "sub-1")?.id}`);
  t.like(await ask(anna, `${master.url}/api/v1/session`), { status: 401, body: { code: "auth/session" } });
  t.false(master.log().includes("code="), "no code of the provider is in the log");
});

test("wrong state, a second use, a code or nonce of another login, a foreign browser: refused; any master may go on", async (t) => {
  await using etcd = await startEtcd();
  await using world = await startWorld();
  const { provider } = world;
  await using master = await startMasterProcess({ ...etcd, args: world.args });
  await using other = await startMasterProcess({ ...etcd, token: master.token, args: [...world.args, "--public-url", master.url] });
  provider.open(redirectOf(master));
  const refuses = async (browser: Browser, url: string | URL, why: RegExp) => {
    const { status, body } = await ask(browser, new URL(url).href);
    t.like({ status, body }, { status: 401, body: { code: "auth/oidc" } });
    t.regex(String(body.detail), why);
    t.false(
      [...browser.cookies(new URL(url).origin).keys()].some((name) => /^fleetcron-\w{8}$/.test(name)),
      "no session",
    );
  };

  const one = createBrowser();
  const back = await goUntilBack(one, master, provider, "sub-2");
  await refuses(createBrowser(), back, /not begun in this browser/);
  const wrong = new URL(back);
  wrong.searchParams.set("state", "x".repeat(43));
  await refuses(one, wrong, /not the one that was begun last/);
  wrong.searchParams.delete("state");
  await refuses(one, wrong, /not the one that was begun last/);
  const issuer = new URL(back);

  // The same browser at the other master behind the same address: the cookie and the state are enough.
  const cookies = new Map(one.cookies(master.url));
  for (const [name, value] of cookies) one.cookies(other.url).set(name, value);
  t.is((await one.get(`${other.url}${back.pathname}${back.search}`)).headers.get("location"), "/");
  const replaying = createBrowser();
  for (const [name, value] of cookies) replaying.cookies(master.url).set(name, value);
  await refuses(replaying, back, /has been used already/);

  const thief = createBrowser();
  const own = await goUntilBack(thief, master, provider, "sub-2");
  const victim = await goUntilBack(createBrowser(), master, provider, "sub-4");
  own.searchParams.set("code", victim.searchParams.get("code") ?? "");
  await refuses(thief, own, /does not accept the code/);

  const nonce = createBrowser();
  await refuses(
    nonce,
    await goUntilBack(nonce, master, provider, "sub-4", (url) => url.searchParams.set("nonce", "another")),
    /does not fit/,
  );
  const mixed = createBrowser();
  issuer.search = (await goUntilBack(mixed, master, provider, "sub-4")).search;
  issuer.searchParams.set("iss", "https://evil.example");
  await refuses(mixed, issuer, /does not fit/);
  const cancelled = createBrowser();
  const no = await goUntilBack(cancelled, master, provider, "sub-4");
  no.searchParams.delete("code");
  no.searchParams.set("error", "access_denied");
  no.searchParams.set("error_description", "<script>");
  await refuses(cancelled, no, /access_denied/);
  const shown = createBrowser();
  const page = await goUntilBack(shown, master, provider, "sub-4");
  page.searchParams.delete("code");
  page.searchParams.set("error", "<script>alert(1)</script>");
  const { text, headers } = await shown.get(page);
  t.true(text.includes("&lt;script&gt;alert(1)"), `words of others are no markup: ${text}`);
  t.regex(headers.get("content-security-policy") ?? "", /default-src 'none'/);
});

test("a provider that is away, or does not accept the client, is told as such; the master and logins with tokens go on", async (t) => {
  await using etcd = await startEtcd();
  await using world = await startWorld();
  const { provider } = world;
  await using master = await startMasterProcess({ ...etcd, args: world.args });
  const browser = createBrowser();
  const away = await ask(browser, `${master.url}${START}`);
  t.like(away, { status: 503, body: { code: "auth/provider" } });
  const shown = await browser.get(`${master.url}${START}`);
  t.is(shown.status, 503);
  t.regex(shown.text, /The OpenID provider|the OpenID provider/);
  t.is((await master.ask("POST", "/session", { token: master.token })).status, 200);
  provider.open(redirectOf(master));
  t.is((await browser.get(await goUntilBack(browser, master, provider, "sub-2"))).headers.get("location"), "/", "once it is back");

  // It goes away between the two steps.
  const late = createBrowser();
  const back = await goUntilBack(late, master, provider, "sub-2");
  await provider[Symbol.asyncDispose]();
  t.like(await ask(late, back.href), { status: 503, body: { code: "auth/provider" } });
  t.is((await master.ask("GET", "/jobs")).status, 200);
});

test("the client's secret is wrong: auth/provider, and no session; half a provider and wrong rows are told at the start", async (t) => {
  await using etcd = await startEtcd();
  await using world = await startWorld();
  const { provider, args } = world;
  using folder = tempFolder();
  const file = folder.file("wrong");
  writeFileSync(file, "wrong");
  const wrong = args.map((arg, at) => (args[at - 1] === "--oidc-client-secret-file" ? file : arg));
  await using master = await startMasterProcess({ ...etcd, args: wrong });
  provider.open(redirectOf(master));
  const browser = createBrowser();
  const answer = await ask(browser, (await goUntilBack(browser, master, provider, "sub-2")).href);
  t.like(answer, { status: 503, body: { code: "auth/provider" } });
  t.regex(String(answer.body.detail), /client/);

  await using plain = await startMasterProcess({ ...etcd, token: master.token });
  t.like(await ask(browser, `${plain.url}${START}`), { status: 404, body: { code: "auth/no-oidc" } });
  t.like(await ask(browser, `${plain.url}${START}/callback?state=a&code=b`), { status: 404, body: { code: "auth/no-oidc" } });

  const etcdArgs = etcd.endpoints.flatMap((endpoint) => ["--etcd", endpoint]);
  const fails = async (more: string[], why: RegExp) => {
    const { code, text } = await failToServe([...etcdArgs, "--listen", "127.0.0.1:0", "--data-dir", folder.file("data"), ...more]);
    t.not(code, 0);
    t.regex(text, why);
  };
  await fails(["--oidc-issuer", "https://login.example.com"], /also needs oidcClientId, oidcClientSecretFile, oidcRoles/);
  await fails([...args, "--oidc-roles", "boss:groups=x"], /ROLE:CLAIM=VALUE/);
  await fails([...args, "--oidc-issuer", "http://login.example.com"], /not the address of an OpenID provider/);
  await fails(
    args.map((arg, at) => (args[at - 1] === "--oidc-client-secret-file" ? "/nowhere/secret" : arg)),
    /\/nowhere\/secret cannot be read/,
  );
});

test("in a real browser, from another site: the button, the login there, and back in the console with a session", async (t) => {
  await using etcd = await startEtcd();
  await using world = await startWorld("localhost");
  await using master = await startMasterProcess({ ...etcd, args: world.args });
  world.provider.open(redirectOf(master));
  await using browser = await startBrowser();
  const { page, close } = await browser.visit();
  // What the page of the provider would load, and this test does not have.
  await page.route(/fonts\.googleapis\.com|localhost:\d+\/favicon\.ico/, (route) => route.fulfill({ contentType: "text/css", body: "" }));
  await page.goto(master.url);
  await page.getByRole("link", { name: "Log in with Test login" }).click();
  await page.locator('input[name="login"]').fill("sub-2");
  await page.locator('input[name="password"]').fill("x");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.waitForURL((url) => url.origin === master.url && url.pathname === "/");
  await page.getByRole("navigation").first().waitFor();
  const held = await page.context().cookies(master.url);
  t.like(
    held.find(({ name }) => /^fleetcron-\w{8}$/.test(name)),
    { httpOnly: true, sameSite: "Strict" },
  );
  t.false(
    held.some(({ name }) => name.endsWith("-login")),
    "what the login needed is gone",
  );
  await close();
});
