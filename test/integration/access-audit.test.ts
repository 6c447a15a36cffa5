/** The audit log on a real etcd: every change through REST with who, what, before and after, in the change's own transaction; nothing secret; reading and keeping it. */
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { firstIdAt } from "fleetcron-shared/base/ids";
import type { AuditEntry } from "fleetcron-shared/model/access";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { prefixRange } from "fleetcron-shared/store/kv";
import { createKeys } from "fleetcron-shared/wire/keys";
import { createCli } from "../support/cli-process.ts";
import { startEtcd } from "../support/etcd.ts";
import { eventually } from "../support/fleet.ts";
import { startMasterProcess } from "../support/master.ts";
import { tempFolder } from "../support/processes.ts";

const job = (script: string) => ({ kind: "common", run: { command: { script } }, rules: [{ mode: "cycle", timer: "0 3 * * *" }] });
const SECRET_URL = "https://hooks.slack.com/services/T000/B000/verysecretpart";

test("each change is told with who, what, before and after, in one transaction with it, and without secrets", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd });
  const { body: made } = await master.ask<{ token: string }>("POST", "/tokens", { name: "otto", role: "operator", groups: ["db"] });
  const asOtto = { authorization: `Bearer ${made.token}` };
  await master.ask("PUT", "/jobs/db/a", { spec: job("echo 1") }, asOtto);
  await master.ask("PUT", "/jobs/db/a", { spec: job("echo 2") }, asOtto);
  await master.ask("POST", "/jobs/db/a/pause", undefined, asOtto);
  await master.ask("PUT", "/jobs/web/a", { spec: job("echo 3") }, asOtto);
  await master.ask("PUT", "/channels/ops", { spec: { slack: { url: SECRET_URL } } });
  await master.ask("PUT", "/globals/X", { value: "one" });
  await master.ask("PUT", "/globals/X", { value: "two" });
  await master.ask("DELETE", "/jobs/db/a", undefined, asOtto);
  await master.ask("DELETE", "/tokens/otto");
  const { body: page } = await master.ask<{ items: AuditEntry[] }>("GET", "/audit");
  t.deepEqual(
    page.items.toReversed().map(({ who, changes }) => [who.name, ...changes.map(({ kind, key, action }) => `${kind} ${key} ${action}`)]),
    [
      ["admin", "token otto created"],
      ["otto", "job db/a created"],
      ["otto", "job db/a updated"],
      ["otto", "job db/a paused"],
      ["admin", "channel ops created"],
      ["admin", "global X created"],
      ["admin", "global X updated"],
      ["otto", "job db/a deleted"],
      ["admin", "token otto revoked"],
    ],
    "what was refused is not in it",
  );
  const updated = page.items.find(({ changes }) => changes[0]?.action === "updated" && changes[0].kind === "job");
  t.like(updated, { who: { type: "token", role: "operator" }, request: "PUT /jobs/:group/:id", remote: "127.0.0.1" });
  t.like(updated?.changes[0], { before: { run: { command: { script: "echo 1" } } }, after: { run: { command: { script: "echo 2" } } } });
  const global = page.items.find(({ changes }) => changes[0]?.key === "X");
  t.like(global?.changes[0], { before: "one", after: "two" });
  const kv = openEtcdKv({ endpoints: etcd.endpoints }, { clock: systemClock });
  const keys = createKeys();
  const { kvs } = await kv.range(prefixRange(keys.audits));
  for (const word of ["verysecretpart", made.token, "sha256"])
    t.false(
      kvs.some(({ value }) => value.includes(word)),
      word,
    );
  const changed = (await kv.get(keys.global("X")))?.modRevision;
  t.true(
    kvs.some(({ modRevision }) => modRevision === changed),
    "the entry has the revision of the change",
  );
  await kv.close();
});

test("a large apply is told in parts, large values are left out, and what does not change is not told", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd });
  const jobs = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`big/j${n}`, job(`echo ${n}`)]));
  const files = [{ name: "jobs.json", text: JSON.stringify({ jobs }) }];
  t.is((await master.ask("POST", "/apply", { files })).status, 200);
  const told = async () => (await master.ask<{ items: AuditEntry[] }>("GET", "/audit?resource=job")).body.items;
  const entries = await told();
  const count = entries.reduce((sum, { changes, more = 0 }) => sum + changes.length + more, 0);
  t.is(count, 300);
  t.true(entries.every((entry) => JSON.stringify(entry).length < 64 * 1024));
  t.is((await master.ask("POST", "/apply", { files })).status, 200);
  t.is((await told()).length, entries.length);
  await master.ask("PUT", "/jobs/big/long", { spec: job(`echo ${"x".repeat(20_000)}`) });
  const [long] = await told();
  t.like(long?.changes[0], { key: "big/long", cut: true });
  t.is(long?.changes[0]?.after, undefined);
});

test("it is read by time, name and resource, page by page, from the command line too; old entries go", async (t) => {
  await using etcd = await startEtcd();
  const kv = openEtcdKv({ endpoints: etcd.endpoints }, { clock: systemClock });
  const keys = createKeys();
  const old = firstIdAt(systemClock.now() - 91 * 86_400_000);
  await using master = await startMasterProcess({ ...etcd, args: ["--audit-retention", "90d"] });
  await using folder = { path: tempFolder(), [Symbol.asyncDispose]: async () => folder.path[Symbol.dispose]() };
  for (const name of ["A", "B", "C"]) await master.ask("PUT", `/globals/${name}`, { value: "1" });
  await master.ask("PUT", "/jobs/db/a", { spec: job("true") });
  const seen: string[] = [];
  let next: string | undefined = "";
  while (next !== undefined) {
    const at: string = next === "" ? "" : `&cursor=${next}`;
    const { body } = await master.ask<{ items: AuditEntry[]; next?: string }>("GET", `/audit?limit=1&resource=global${at}`);
    seen.push(...body.items.map(({ changes }) => changes[0]?.key ?? ""));
    next = body.next;
  }
  t.deepEqual(seen, ["C", "B", "A"]);
  t.deepEqual((await master.ask("GET", "/audit?resource=job:db/a&who=admin")).body.next, undefined);
  t.deepEqual((await master.ask("GET", "/audit?who=nobody")).body.items, []);
  t.deepEqual((await master.ask("GET", "/audit?since=2099-01-01T00:00:00Z")).body.items, []);
  t.like(await master.ask("GET", "/audit?cursor=x"), { status: 400, body: { code: "input/usage" } });
  const cli = createCli(folder.path.path, { FLEETCRON_SERVER: master.url, FLEETCRON_TOKEN: master.token });
  const listed = await cli("audit ls --since 1h --resource global");
  t.is(listed.code, 0, listed.err);
  t.regex(listed.out, /admin {2,}global C created {2,}127\.0\.0\.1/);
  t.notRegex(listed.out, /db\/a/);
  const made = await cli("token create --role operator --group db --name otto --expires 30d -o json");
  t.like(JSON.parse(made.out), { id: "otto", role: "operator", groups: ["db"], state: "active" });
  t.regex((await cli("token ls")).out, /otto {2,}operator {2,}db {2,}active/);
  t.regex((await cli("token login-link -o name")).out, /^http:\/\/127\.0\.0\.1:\d+\/#login=[\w-]{32}\n$/);
  t.regex((await cli("token revoke otto")).out, /token otto is revoked/);
  t.is((await cli(["token", "ls"], { env: { FLEETCRON_TOKEN: JSON.parse(made.out).token } })).code, 5);
  // The leader's janitor looks as its term begins.
  await kv.txn({ then: [{ op: "put", key: keys.audit(old), value: "{}" }] });
  await master.stop();
  await using again = await startMasterProcess({ ...etcd, token: master.token, args: ["--audit-retention", "90d"] });
  await eventually("the old one is gone", async () => (await kv.get(keys.audit(old))) === undefined);
  t.true((await again.ask<{ items: AuditEntry[] }>("GET", "/audit")).body.items.length >= 4);
  await kv.close();
});
