/** The policy of a host, on a fleet of two agents: `free` has none, `strict` has one, and tells of itself through SIGHUP. */
import { execFile } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import test from "ava";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { outcomeWord } from "fleetcron-shared/model/record";
import { binOf } from "../support/daemon.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";
import { until } from "../support/processes.ts";

const shared = {} as { etcd: EtcdServer; fleet: Fleet; policy: string };

test.before(async () => {
  shared.etcd = await startEtcd();
  shared.fleet = await startFleet({ etcd: shared.etcd.endpoints, nodes: ["free"] });
  shared.policy = shared.fleet.file("policy.yaml");
  writeFileSync(shared.policy, "\njobGroups: [ok]\ncommands: [/usr/bin/]\n", { mode: 0o644 });
  await shared.fleet.addAgent("strict", { args: ["--policy-file", shared.policy] });
});
test.after.always(async () => {
  await shared.fleet?.[Symbol.asyncDispose]();
  await shared.etcd?.stop();
});

const job = (more: Partial<JobSpec> & { on?: string } = {}): JobSpec => {
  const { on, ...rest } = more;
  const target = on === undefined ? {} : { target: { nodes: [on] } };
  return { run: { command: { argv: ["true"] } }, rules: [{ mode: "cycle", timer: "* * * * * *", ...target }], ...rest };
};

async function records(key: string, count: number) {
  return eventually(`${count} records of ${key}`, async () => {
    const found = await shared.fleet.records(key);
    return found.length >= count && found;
  });
}

test.serial("a common tick that breaks the policy gets a verdict on that node, with file and line", async (t) => {
  await shared.fleet.apply({ "other/common": job({ rules: [{ mode: "manyonce" }] }) });
  const found = await records("other/common", 2);
  t.deepEqual(found.map((record) => `${record.nodeId} ${outcomeWord(record.outcome)}`).sort(), ["free exit:0", "strict skipped:policy"]);
  const refused = found.find((record) => record.nodeId === "strict");
  if (refused?.outcome.type !== "skipped") return t.fail();
  t.is(refused.outcome.detail, `${shared.policy}:2 (jobGroups): jobs of the group "other" may not run on this host`);
});

test.serial("an interval tick is left to the node that may, and claimed by none when none may", async (t) => {
  await shared.fleet.apply({ "other/interval": job({ kind: "interval" }), "other/nobody": job({ kind: "interval", on: "strict" }) });
  const ran = await records("other/interval", 5);
  t.deepEqual([...new Set(ran.map((record) => `${record.nodeId} ${outcomeWord(record.outcome)}`))], ["free exit:0"]);
  const dues = ran.map((record) => Date.parse(record.dueAt ?? "")).sort();
  t.is((dues.at(-1) ?? 0) - (dues[0] ?? 0), 1000 * (ran.length - 1), "every tick ran");
  const refused = await records("other/nobody", 2);
  t.deepEqual([...new Set(refused.map((record) => outcomeWord(record.outcome)))], ["skipped:policy"]);
  for (const { outcome } of refused) t.regex(JSON.stringify(outcome), /policy\.yaml:2 \(jobGroups\)/);
  await shared.fleet.api.pauseJob({ group: "other", id: "interval" });
  await shared.fleet.api.pauseJob({ group: "other", id: "nobody" });
});

test.serial("orders are checked too, with the variables that they bring", async (t) => {
  const never = [{ mode: "cycle" as const, timer: "@at 2099-01-01T00:00:00Z", target: { nodes: ["strict"] } }];
  await shared.fleet.apply({
    "ok/order": job({ rules: never }),
    "ok/alone": job({ rules: never, kind: "alone", run: { command: { script: "id" } } }),
  });
  const order = { group: "ok", id: "order" };
  await shared.fleet.api.runJob(order, {});
  await shared.fleet.api.runJob(order, { env: { LD_PRELOAD: "/tmp/x.so" } });
  await shared.fleet.api.runJob({ group: "ok", id: "alone" }, {});
  const words = (await records("ok/order", 2)).map((record) => outcomeWord(record.outcome)).sort();
  t.deepEqual(words, ["exit:0", "skipped:policy"]);
  const [alone] = await records("ok/alone", 1);
  t.regex(JSON.stringify(alone?.outcome), /"policy".*scripts may not be run on this host/);
});

test.serial("SIGHUP takes a new policy; a wrong one leaves the old in force and is logged with file and line", async (t) => {
  const { fleet, policy } = shared;
  const strict = fleet.agent("strict");
  writeFileSync(policy, "jobGroups: [ok, other]\nusrs: [root]\n");
  process.kill(strict.pid, "SIGHUP");
  await until("the refusal is logged", () => strict.log().includes("the host's new policy is refused; the old one stays in force"));
  t.regex(strict.log(), /policy\.yaml:2: usrs: there is no such field \(did you mean \\"users\\"\?\)/);
  await fleet.apply({ "other/hup": job({ on: "strict", rules: [{ mode: "manyonce", target: { nodes: ["strict"] } }] }) });
  t.is(outcomeWord((await records("other/hup", 1))[0]?.outcome ?? { type: "oom" }), "skipped:policy");
  writeFileSync(policy, "jobGroups: [ok, other]\n");
  process.kill(strict.pid, "SIGHUP");
  await until("it is read again", () => strict.log().includes("the host's policy was read again"));
  await fleet.api.runJob({ group: "other", id: "hup" }, {});
  const last = (await records("other/hup", 2)).at(-1);
  t.is(outcomeWord(last?.outcome ?? { type: "oom" }), "exit:0");
});

test.serial("an agent does not start with a wrong policy, or with one that others may write", async (t) => {
  const { fleet, etcd } = shared;
  const file = fleet.file("wrong.yaml");
  const start = async (policy: string) => {
    const args = ["--etcd", etcd.endpoint, "--node-id", "wrong", "--data-dir", fleet.file("data-wrong"), "--policy-file", policy];
    const failed = await promisify(execFile)(process.execPath, [binOf("fleetcron-agent"), ...args], { timeout: 60_000 }).catch(
      (thrown) => thrown,
    );
    t.is(failed.code, 2);
    t.notRegex(failed.stderr, /\n\s+at /);
    return failed.stderr as string;
  };
  writeFileSync(file, "users: root\n", { mode: 0o644 });
  t.regex(await start(file), /wrong\.yaml:1: users: found "root"; a list of user names is expected/);
  writeFileSync(file, "users: [root]\n");
  chmodSync(file, 0o666);
  t.regex(await start(file), /can be written by others than its owner\n {2}chmod go-w/);
  t.regex(await start(`${file}.none`), /there is no such file/);
});
