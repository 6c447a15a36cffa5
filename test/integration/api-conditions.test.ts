import { once } from "node:events";
import { connect } from "node:net";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { startEtcd } from "../support/etcd.ts";
import { joinFleet } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { startMasterProcess } from "../support/master.ts";

const job = (name: string) => ({ spec: { name, run: { command: { script: "true" } }, rules: [{ mode: "cycle", timer: "@yearly" }] } });
const pipeline = (name: string) => ({ spec: { name, stages: [{ name: "s", tasks: [{ name: "t", job: "g/x" }] }] } });

test("what can be changed has its revision as ETag, and is changed only at the revision that was seen", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const kv = openEtcdKv(etcd, { clock: systemClock });
  const node = await joinFleet(kv, "a");
  await node.vanish();
  await kv.close();
  t.is((await master.ask("PUT", "/jobs/g/x", job("0"))).status, 201);
  const things = [
    { path: "/jobs/g/y", change: (name: string) => ["PUT", "", job(name)] as const },
    { path: "/pipelines/g/p", change: (name: string) => ["PUT", "", pipeline(name)] as const },
    { path: "/globals/NAME", change: (name: string) => ["PUT", "", { value: name }] as const },
    {
      path: "/channels/c",
      change: (name: string) => ["PUT", "", { spec: { webhook: { url: `https://example.com/${name}` } } }] as const,
    },
    { path: "/nodes/a", change: (name: string) => ["PATCH", "/labels", { set: { name } }] as const },
  ];
  for (const { path, change } of things) {
    const send = (name: string, headers: Record<string, string> = {}) => {
      const [method, more, body] = change(name);
      return master.ask(method, path + more, body, headers);
    };
    if (path !== "/nodes/a") t.is((await send("1", { "if-match": '"999999"' })).status, 409, `${path}: there is none`);
    const made = await send("1", path === "/nodes/a" ? {} : { "if-match": '"0"' });
    t.true(made.status < 300, `${path} ${JSON.stringify(made.body)}`);
    const etag = made.headers.get("etag") ?? "";
    t.is(etag, `"${String(made.body.revision)}"`, path);
    t.is((await master.ask("GET", path)).headers.get("etag"), etag, path);
    const cached = await fetch(`${master.url}/api/v1${path}`, {
      headers: { authorization: `Bearer ${master.token}`, "if-none-match": etag },
    });
    t.deepEqual([cached.status, await cached.text(), cached.headers.get("etag")], [304, "", etag], path);
    const changed = await send("2", { "if-match": etag });
    t.is(changed.status, 200, path);
    const late = await send("3", { "if-match": etag });
    t.like(late, { status: 409, body: { code: "write/conflict" } }, path);
    t.is((await send("3", { "if-match": "yesterday" })).status, 400, path);
    const stale = await master.ask("GET", path, undefined, { "if-none-match": etag });
    t.is(stale.status, 200, path);
    t.is((await master.ask("DELETE", path, undefined, { "if-match": etag })).status, 409, path);
    t.is((await master.ask("DELETE", path, undefined, { "if-match": stale.headers.get("etag") ?? "" })).status, 200, path);
    t.is((await master.ask("GET", path)).status, 404, path);
  }
});

test("more requests than the limit are refused, each caller by itself, with the time to come again", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd, args: ["--rate-limit", "20"] });
  const answers = await Promise.all(Array.from({ length: 30 }, () => master.ask("GET", "/info")));
  t.is(answers.filter(({ status }) => status === 200).length, 20);
  const refused = answers.find(({ status }) => status === 429);
  t.like(refused?.body, { code: "server/too-many", status: 429 });
  t.regex(refused?.headers.get("retry-after") ?? "", /^[1-9]\d?$/);
  t.is((await fetch(`${master.url}/readyz`)).status, 200, "health is not counted");
});

test("a head that does not come, one that is too large and one that is no HTTP end the connection", async (t) => {
  t.timeout(90_000);
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const { hostname, port } = new URL(master.url);
  const say = async (text: string) => {
    const socket = connect(Number(port), hostname);
    let answer = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      answer += chunk;
    });
    socket.on("error", () => {});
    socket.write(text);
    await once(socket, "close");
    return answer;
  };
  const slow = say("GET /api/v1/info HTTP/1.1\r\nhost: x\r\nauth");
  t.regex(await say("nonsense\r\n\r\n"), /^HTTP\/1.1 400 [\s\S]*"code":"input\/usage"/);
  t.regex(await say(`GET / HTTP/1.1\r\nhost: x\r\nx: ${"x".repeat(100_000)}\r\n\r\n`), /^HTTP\/1.1 413 [\s\S]*"code":"input\/too-large"/);
  t.regex(await slow, /^HTTP\/1.1 408 [\s\S]*"code":"input\/too-slow"/);
});

test("lists turn round, page and filter by group", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const kv = openEtcdKv(etcd, { clock: systemClock });
  for (const id of ["a", "b", "c"]) {
    const agent = await joinFleet(kv, id);
    await agent.proc("g/x", { execution: `e${id}`, attempt: 1, pid: 1, startedAt: "2026-01-01T00:00:00.000Z" });
    await agent.proc("h/x", { execution: `f${id}`, attempt: 1, pid: 2, startedAt: "2026-01-01T00:00:00.000Z" });
  }
  await kv.close();
  type Page = { items: { id: string; group?: string; name?: string }[]; next?: string };
  const page = async (path: string) => (await master.ask<Page>("GET", path)).body;
  const walk = async (path: string) => {
    const ids: string[] = [];
    for (let next: string | undefined = ""; next !== undefined; ) {
      const { items, next: more }: Page = await page(`${path}&limit=2${next === "" ? "" : `&cursor=${next}`}`);
      ids.push(...items.map(({ id, name }) => id ?? name ?? ""));
      next = more;
    }
    return ids.join("");
  };
  await eventually("all nodes are seen", async () => (await walk("/nodes?sort=key")) === "abc");
  t.is(await walk("/nodes?sort=-key"), "cba");
  for (const name of ["X", "Y", "Z"]) await master.ask("PUT", `/globals/${name}`, { value: "1" });
  t.is(await walk("/globals?sort=-key"), "ZYX");
  await eventually("all processes are seen", async () => (await page("/procs?")).items.length === 6);
  t.deepEqual(
    (await page("/procs?group=h")).items.map(({ group }) => group),
    ["h", "h", "h"],
  );
  t.deepEqual(
    (await page("/executions?group=g&state=running")).items.map(({ id }) => id),
    ["ec", "eb", "ea"],
  );
  t.is((await master.ask("GET", "/nodes?sort=sideways")).status, 400);
  for (const path of ["/secrets?group=g", "/runs?group=g", "/pipelines?group=g&sort=-key", "/channels?sort=-key"])
    t.deepEqual((await page(path)).items, [], path);
});
