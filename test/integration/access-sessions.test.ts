/** Console sessions on a real etcd: logging in with a token and a link, the cookie, changes from other sites, the end of sessions, and what is stored. */
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { prefixRange } from "fleetcron-shared/store/kv";
import { startEtcd } from "../support/etcd.ts";
import { eventually } from "../support/fleet.ts";
import { type MasterProcess, startMasterProcess } from "../support/master.ts";

type Answer = { status: number; body: Record<string, unknown>; cookie: string | null };
type Login = { cookie: string; csrf: string; setCookie: string };

/** As a browser: with the cookie, without a token. */
async function browse(url: string, method: string, path: string, headers: Record<string, string> = {}, body?: unknown): Promise<Answer> {
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown>, cookie: response.headers.get("set-cookie") };
}

async function login(master: MasterProcess, by: object): Promise<Login> {
  const { status, body, cookie } = await browse(master.url, "POST", "/session", {}, by);
  if (status !== 200 || cookie === null) throw new Error(`no session: ${JSON.stringify(body)}`);
  return { cookie: cookie.split(";")[0] ?? "", csrf: String(body.csrf), setCookie: cookie };
}

test("a session: its cookie, what it may, changes only from the console's own pages, logging out at every master", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd });
  await using other = await startMasterProcess({ ...etcd, token: master.token });
  const own = await login(master, { token: master.token });
  t.regex(own.setCookie, /^fleetcron-[a-z0-9]{8}=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict$/);
  const headers = { cookie: own.cookie };
  t.like(await browse(master.url, "GET", "/session", headers), { status: 200, body: { name: "admin", role: "admin", csrf: own.csrf } });
  t.like(await browse(other.url, "GET", "/session", headers), { status: 200 }, "every master knows it at once");
  const set = (more: Record<string, string>) => browse(other.url, "PUT", "/globals/X", { ...headers, ...more }, { value: "1" });
  const host = new URL(other.url).host;
  const csrf = { "x-fleetcron-csrf": own.csrf };
  t.like(await set({}), { status: 403, body: { code: "auth/csrf" } });
  t.like(await set({ "x-fleetcron-csrf": "wrong" }), { status: 403, body: { code: "auth/csrf" } });
  t.like(await set({ ...csrf, origin: "https://evil.example" }), { status: 403, body: { code: "auth/csrf" } });
  t.like(await set({ ...csrf, origin: "null" }), { status: 403, body: { code: "auth/csrf" } });
  t.like(await set({ ...csrf, "sec-fetch-site": "cross-site" }), { status: 403, body: { code: "auth/csrf" } });
  t.like(await set({ ...csrf, origin: `http://${host}`, "sec-fetch-site": "same-origin" }), { status: 200 });
  const foreign = await browse(master.url, "POST", "/session", { origin: "https://evil.example" }, { token: master.token });
  t.like(foreign, { status: 403, body: { code: "auth/csrf" } }, "nobody is logged in by another site");

  const kv = openEtcdKv({ endpoints: etcd.endpoints }, { clock: systemClock });
  const all = await kv.range(prefixRange("/"));
  t.false(
    all.kvs.some(({ key, value }) => (key + value).includes(own.cookie.split("=")[1] ?? "?")),
    "only a hash of the cookie is stored",
  );
  const stored = all.kvs.find(({ key }) => key.includes("/sessions/"));
  t.truthy(stored?.lease, "under a lease");
  await kv.close();

  const out = await browse(other.url, "DELETE", "/session", { ...headers, ...csrf });
  t.like(out, { status: 200 });
  t.regex(out.cookie ?? "", /Max-Age=0/);
  t.like(await browse(other.url, "GET", "/session", headers), { status: 401, body: { code: "auth/session" } });
  await eventually(
    "the other knows",
    async () => (await browse(master.url, "GET", "/session", headers)).body.code === "auth/session",
    3000,
  );
});

test("a login link logs in once, as the token that made it; revoking that token ends its sessions", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd });
  const { body: vera } = await master.ask<{ token: string }>("POST", "/tokens", { name: "vera", groups: ["db"] });
  const asVera = { authorization: `Bearer ${vera.token}` };
  const { body: link } = await master.ask<{ code: string; path: string }>("POST", "/session/links", undefined, asVera);
  t.is(link.path, `/#login=${link.code}`);
  const answers = await Promise.all([1, 2, 3].map(() => browse(master.url, "POST", "/session", {}, { code: link.code })));
  t.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401]);
  t.is(answers.find(({ status }) => status === 401)?.body.code, "auth/link");
  const cookie = answers.find(({ status }) => status === 200)?.cookie?.split(";")[0] ?? "";
  t.like(await browse(master.url, "GET", "/session", { cookie }), { status: 200, body: { name: "vera", role: "viewer", groups: ["db"] } });
  t.like(await browse(master.url, "GET", "/globals", { cookie }), { status: 403, body: { code: "auth/scope" } });
  const { body: list } = await master.ask<{ items: { id: string; user: object }[] }>("GET", "/sessions");
  t.deepEqual(
    list.items.map(({ user }) => user),
    [{ type: "token", token: "vera" }],
  );
  t.false(JSON.stringify(list).includes("csrf"));
  await master.ask("DELETE", "/tokens/vera");
  t.like(await browse(master.url, "GET", "/session", { cookie }), { status: 401, body: { code: "auth/revoked" } });
  t.like(await browse(master.url, "POST", "/session", {}, { token: vera.token }), { status: 401, body: { code: "auth/revoked" } });
});

test("an admin ends sessions of others; a session ends by time; a guessed cookie gets nowhere", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd, args: ["--session-max", "1h", "--session-idle", "1m"] });
  const { body: short } = await master.ask<{ token: string }>("POST", "/tokens", { name: "short", expiresInMs: 2500 });
  const brief = await login(master, { token: short.token });
  t.true(Number(/Max-Age=(\d+)/.exec(brief.setCookie)?.[1]) <= 2, "no longer than its token");
  const own = await login(master, { token: master.token });
  const { body: list } = await master.ask<{ items: { id: string; user: { token: string } }[] }>("GET", "/sessions");
  const id = list.items.find(({ user }) => user.token === "admin")?.id ?? "";
  t.like(await master.ask("DELETE", `/sessions/${id}`), { status: 200 });
  t.like(await browse(master.url, "GET", "/jobs", { cookie: own.cookie }), { status: 401, body: { code: "auth/session" } });
  t.like(await master.ask("DELETE", "/sessions/none"), { status: 404, body: { code: "session/not-found" } });
  await eventually("it is over", async () => (await browse(master.url, "GET", "/jobs", { cookie: brief.cookie })).status === 401, 10_000);
  const name = own.cookie.split("=")[0];
  const codes: unknown[] = [];
  for (let n = 0; n < 14; n++)
    codes.push((await browse(master.url, "GET", "/jobs", { cookie: `${name}=${"a".repeat(42)}${n % 10}` })).body.code);
  t.true(codes.includes("auth/locked"));
  t.like(await browse(master.url, "POST", "/session", {}, { nothing: 1 }), { status: 400, body: { code: "input/invalid" } });
});
