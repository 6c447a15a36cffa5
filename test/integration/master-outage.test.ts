/** Masters when something is wrong around them: etcd away or untrusted, a leader that was frozen, several masters, several clusters. */
import { execFileSync } from "node:child_process";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import type { Kv } from "fleetcron-shared/store/kv";
import { startEtcd } from "../support/etcd.ts";
import { joinFleet, keys } from "../support/fake-agent.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { eventually } from "../support/fleet.ts";
import { failToServe, type MasterProcess, startMasterProcess } from "../support/master.ts";
import { tempFolder } from "../support/processes.ts";

const jobs = (...ids: string[]) => ({
  files: [
    {
      name: "j.json",
      text: JSON.stringify({
        jobs: Object.fromEntries(
          ids.map((id) => [`g/${id}`, { run: { command: { script: "true" } }, rules: [{ mode: "cycle", timer: "@hourly" }] }]),
        ),
      }),
    },
  ],
});
const isLeading = async (master: MasterProcess) => (await master.ask("GET", "/info")).body.leading === true;
const statusOf = async (master: MasterProcess, path: string) => (await fetch(master.url + path)).status;
const termOf = async (kv: Kv) => (await kv.get(keys.leader))?.createRevision;

test.serial("etcd away: the master lives, says so, answers from memory, refuses writes, and is back without a restart", async (t) => {
  t.timeout(120_000);
  await using etcd = await startEtcd();
  await using proxy = await startFaultProxy(etcd.port);
  await using master = await startMasterProcess({ endpoints: [proxy.endpoint], args: ["--session-ttl", "2s"] });
  t.is((await master.ask("POST", "/apply", jobs("x"))).status, 200);
  await eventually("it leads", () => isLeading(master));
  t.is(await statusOf(master, "/readyz"), 200);

  proxy.cut();
  await eventually("it is not ready", async () => (await statusOf(master, "/readyz")) === 503);
  t.is(await statusOf(master, "/healthz"), 200);
  const { reasons } = (await (await fetch(`${master.url}/readyz`)).json()) as { reasons: string[] };
  t.true(reasons.includes("etcd does not answer"), reasons.join());
  t.is((await master.ask<{ items: object[] }>("GET", "/jobs")).body.items.length, 1);
  t.like((await master.ask("GET", "/info")).body, { etcd: { reachable: false } });
  for (const [method, path, body] of [
    ["POST", "/apply", jobs("y")],
    ["POST", "/jobs/g/x/pause", undefined],
    ["PUT", "/jobs/g/y", { spec: { run: { command: { script: "true" } }, rules: [{ mode: "onlyonce" }] } }],
    ["DELETE", "/jobs/g/x", undefined],
  ] as const) {
    const answer = await master.ask(method, path, body);
    t.is(answer.status, 503, path);
    t.regex(String(answer.body.code), /^etcd\/(unreachable|unknown-outcome)$/, path);
  }
  await eventually("it leads no longer", async () => !(await isLeading(master)));

  proxy.open();
  await eventually("it is ready", async () => (await statusOf(master, "/readyz")) === 200, 10_000);
  await eventually("it leads again", () => isLeading(master), 10_000);
  t.is((await master.ask("POST", "/apply", jobs("y"))).status, 200);
  t.is((await master.ask<{ items: object[] }>("GET", "/jobs")).body.items.length, 2, "nothing was half-written");
});

test.serial("a leader that was frozen past its session writes nothing after the new term, not even what was on its way", async (t) => {
  t.timeout(120_000);
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await using proxy = await startFaultProxy(etcd.port);
  const args = ["--session-ttl", "2s"];
  await using old = await startMasterProcess({ endpoints: [proxy.endpoint], args });
  await using next = await startMasterProcess({ ...etcd, args, token: old.token });
  await joinFleet(kv, "a");
  await eventually("the old one leads", () => isLeading(old));
  await eventually("the node is known", async () => (await old.ask("GET", "/nodes/a")).status === 200);
  const before = await termOf(kv);

  // It learns of the new job and orders its dispatch, but what it sends is held back: a write that arrives after its time.
  proxy.pause("toServer");
  t.is((await next.ask("POST", "/apply", jobs("x"))).status, 200);
  await eventually("it knows the job", async () => (await old.ask<{ items: object[] }>("GET", "/jobs")).body.items.length === 1);
  // Nothing tells from outside that a held write was sent; the dispatcher does it in the turn that brings the news.
  await systemClock.sleep(50);
  process.kill(old.pid, "SIGSTOP");
  const dispatch = await eventually("the next one leads and dispatches", () => kv.get(keys.dispatch("a", "g", "x")));
  const term = await termOf(kv);
  t.not(term, before);

  proxy.open();
  process.kill(old.pid, "SIGCONT");
  await eventually("the old one follows again", async () => (await statusOf(old, "/readyz")) === 200);
  t.false(await isLeading(old));
  t.is(await termOf(kv), term, "the new term stands");
  t.deepEqual(await kv.get(keys.dispatch("a", "g", "x")), dispatch, "the late write was refused");
  await kv.close();
});

test.serial("two masters on one prefix are one cluster with one leader; another prefix is another cluster", async (t) => {
  await using etcd = await startEtcd();
  await using first = await startMasterProcess(etcd);
  await using second = await startMasterProcess({ ...etcd, token: first.token });
  const prefix = ["--prefix", "/other"];
  await using stranger = await startMasterProcess({ ...etcd, args: prefix });
  await eventually("the first leads", () => isLeading(first));
  t.false(await isLeading(second));
  await eventually("the stranger leads its own cluster", () => isLeading(stranger));

  t.is((await second.ask("POST", "/apply", jobs("x"))).status, 200);
  await eventually("the first sees it", async () => (await first.ask("GET", "/jobs/g/x")).status === 200);
  const clusters = await Promise.all([first, second, stranger].map(async (each) => (await each.ask("GET", "/info")).body.cluster));
  t.is(clusters[0], clusters[1]);
  t.not(clusters[0], clusters[2]);
  t.deepEqual((await stranger.ask("GET", "/jobs")).body.items, []);
  t.is((await stranger.ask("GET", "/jobs", undefined, { authorization: `Bearer ${first.token}` })).status, 403);

  t.is(await first.stop(), 0);
  await eventually("the second leads at once, the session's end need not be waited for", () => isLeading(second), 2500);
  t.is((await second.ask<{ items: object[] }>("GET", "/jobs")).body.items.length, 1);
});

test.serial("an etcd with a certificate that is not trusted: said in words, exit code 6", async (t) => {
  using folder = tempFolder();
  for (const name of ["server", "stranger"]) {
    const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
    const files = ["-keyout", folder.file(`${name}.key`), "-out", folder.file(`${name}.crt`)];
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    execFileSync("openssl", ["req", "-x509", ...key, ...files, "-days", "2", ...subject], { stdio: "ignore" });
  }
  await using etcd = await startEtcd({
    scheme: "https",
    args: ["--cert-file", folder.file("server.crt"), "--key-file", folder.file("server.key")],
  });
  await eventually("etcd listens", () =>
    fetch(etcd.endpoint).then(
      () => true,
      (error: { cause?: { code?: string } }) => error.cause?.code !== "ECONNREFUSED",
    ),
  );
  const args = ["--etcd", etcd.endpoint, "--listen", "127.0.0.1:0", "--data-dir", folder.file("data")];
  const refused = await failToServe([...args, "--etcd-ca", folder.file("stranger.crt")]);
  t.is(refused.code, 6);
  t.regex(refused.text, /certificate/);
  t.notRegex(refused.text, /\n\s+at /, "no stack");
  await using master = await startMasterProcess({ ...etcd, args: ["--etcd-ca", folder.file("server.crt")] });
  t.is((await master.ask("GET", "/info")).status, 200);
});
