/** A verdict counts as explained only by what really happened, where and when it happened. */
import test from "ava";
import { CAST } from "../cast.ts";
import type { Stretch } from "../fault-log.ts";
import type { Deed } from "../traffic/traffic.ts";
import { parseEvidence, type Witnessed } from "./evidence.ts";
import { type Facts, unexplained } from "./explain.ts";
import { overlapsOf, trueBegins } from "./overlaps.ts";
import type { Told } from "./records.ts";
import { openOrders, openTicks } from "./settled.ts";
import { targetsOf } from "./targets.ts";

const T = Date.parse("2026-11-21T12:00:00.000Z");
const job = (kind: "common" | "alone", more: object = {}) => ({
  kind,
  run: { command: { script: "true" } },
  rules: [{ mode: "cycle" as const, timer: "*/10 * * * * *" }],
  ...more,
});
const specs = {
  "c/tick": job("common"),
  "c/timeout": job("common", { timeout: "2s" }),
  "c/replace": job("common", { overlap: "replace" }),
  "a/long": job("alone"),
};
const told = (outcome: string, more: Partial<Told> = {}): Told => ({
  ...{ job: "c/tick", node: "a1", execution: "X", attempt: 1, final: true, provisional: false, outcome, ran: false },
  ...{ id: "X-1", toldMs: T + 500, dueMs: T, rule: "r1", filed: true, detail: "" },
  ...more,
});
const fault = (name: string, touches: string[], fromS: number, untilS: number): Stretch => ({
  ...{ fault: name, touches, detail: "", fromMs: T + fromS * 1000, untilMs: T + untilS * 1000 },
});
const deed = (what: Deed["what"], on: string, atS: number): Deed => ({
  what,
  on,
  fromMs: T + atS * 1000,
  untilMs: T + atS * 1000 + 100,
  ok: true,
});
const ran = (more: Partial<Witnessed> = {}): Witnessed => ({
  ...{ job: "c/tick", rule: "r1", dueMs: T, node: "a1", execution: "R", attempt: 1, beginMs: T, endMs: T + 100, lastMs: T + 100 },
  ...more,
});
const facts = (more: Partial<Facts> = {}): Facts => ({ cast: CAST, specs, stretches: [], deeds: [], runs: [], ...more });
const kill = fault("agent-kill", ["a1"], -5, 5);

/** Each verdict with what explains it; it must not be explained by the same on another node, or long before. */
const BY_FAULT: readonly [outcome: string, fault: string, touches: string[]][] = [
  ["lost:nodeGone", "agent-kill", ["a1"]],
  ["lost:nodeGone", "partition", ["a1", "a2"]],
  ["lost:agentStopped", "agent-kill", ["a1"]],
  ["lost:supervisor", "spawner-kill", ["a1"]],
  ["lost:supervisor", "agent-and-spawner-kill", ["a1"]],
  ["lockLost", "host-stop", ["a1"]],
  ["lockLost", "slow", ["a1"]],
  ["spawnFailed", "disk-full", ["a1"]],
  ["skipped:isolated", "partition", ["a1"]],
  ["skipped:diskFull", "disk-full", ["a1"]],
  ["skipped:misfireSkip", "agent-stop", ["a1"]],
  ["skipped:misfireSkip", "clock", ["a1"]],
  ["missed:nodeOffline", "agent-kill", ["a1"]],
];

for (const [outcome, name, touches] of BY_FAULT) {
  test(`${outcome} is explained by ${name} there and then`, (t) => {
    t.is(unexplained(facts({ stretches: [fault(name, touches, -5, 5)] }), told(outcome)), undefined);
    t.regex(unexplained(facts(), told(outcome)) ?? "", /needs/);
    t.regex(unexplained(facts({ stretches: [fault(name, ["a4"], -5, 5)] }), told(outcome)) ?? "", /needs/, "elsewhere");
    t.regex(unexplained(facts({ stretches: [fault(name, touches, -60, -50)] }), told(outcome)) ?? "", /needs/, "long before");
  });
}

test("what happens to etcd is felt by everybody", (t) => {
  for (const outcome of ["skipped:isolated", "lost:nodeGone", "lockLost"])
    t.is(unexplained(facts({ stretches: [fault("majority-stop", ["e1", "e2"], -2, 2)] }), told(outcome)), undefined);
  t.truthy(unexplained(facts({ stretches: [fault("master-kill", ["m1"], -2, 2)] }), told("skipped:isolated")));
});

test("verdicts that no fault of this run can give are findings", (t) => {
  for (const outcome of [
    "skipped:capacity",
    "skipped:drained",
    "skipped:policy",
    "lost:reboot",
    "lost:session",
    "missed:unknown",
    "signal:SIGKILL",
    "oom",
    "failed:x",
  ])
    t.truthy(unexplained(facts({ stretches: [kill] }), told(outcome)), outcome);
  t.is(unexplained(facts(), told("exit:3")), undefined);
});

test("kills and timeouts need who killed, and a timeout", (t) => {
  t.is(unexplained(facts({ deeds: [deed("kill", "X", -1)] }), told("killed", { job: "a/long" })), undefined);
  t.truthy(unexplained(facts({ deeds: [deed("kill", "Y", -1)] }), told("killed", { job: "a/long" })));
  t.is(unexplained(facts(), told("killed", { job: "c/replace", detail: "fleetcron: replaced by execution Z" })), undefined);
  t.truthy(unexplained(facts(), told("killed", { job: "c/tick", detail: "fleetcron: replaced by execution Z" })));
  t.is(unexplained(facts(), told("timeout", { job: "c/timeout" })), undefined);
  t.truthy(unexplained(facts(), told("timeout")));
});

test("cancelled needs an edit around it", (t) => {
  t.is(unexplained(facts({ deeds: [deed("edit", "c/tick", 1)] }), told("skipped:cancelled")), undefined);
  t.truthy(unexplained(facts({ deeds: [deed("edit", "a/long", 1)] }), told("skipped:cancelled")));
  t.truthy(unexplained(facts({ deeds: [deed("edit", "c/tick", 60)] }), told("skipped:cancelled")));
});

test("an overlap needs another execution beside it: on the node, or for alone anywhere", (t) => {
  const skipped = told("skipped:overlap");
  t.truthy(unexplained(facts(), skipped));
  t.is(unexplained(facts({ runs: [ran({ beginMs: T - 3000 })] }), skipped), undefined);
  t.truthy(unexplained(facts({ runs: [ran({ beginMs: T - 3000, node: "a2" })] }), skipped));
  t.truthy(unexplained(facts({ runs: [ran({ beginMs: T - 30_000, lastMs: T - 20_000, endMs: T - 20_000 })] }), skipped));
  const elsewhere = ran({ job: "a/long", node: "a2" });
  t.is(unexplained(facts({ runs: [elsewhere] }), told("skipped:overlap", { job: "a/long" })), undefined);
});

test("an execution that has ended overlaps only if its node could not give the lock of an alone job back", (t) => {
  const ended = { execution: "R", node: "a2", beginMs: T - 20_000, lastMs: T - 18_000, endMs: T - 18_000 };
  const why = (job: string, stretches: Stretch[]) =>
    unexplained(facts({ runs: [ran({ ...ended, job })], stretches }), told("skipped:overlap", { job }));
  t.truthy(why("a/long", []));
  t.is(why("a/long", [fault("partition", ["a2"], -19, -2)]), undefined);
  t.is(
    why("a/long", [fault("majority-stop", ["e1", "e2"], -19, -10), fault("partition", ["a2"], -8, -2)]),
    undefined,
    "one after the other",
  );
  t.truthy(why("a/long", [fault("partition", ["a2"], -19, -12)]), "it could, long since");
  t.truthy(why("a/long", [fault("partition", ["a4"], -19, -2)]), "elsewhere");
  t.truthy(why("a/long", [fault("partition", ["a2"], -9, -2)]), "it had given it back by then");
  t.truthy(why("c/tick", [fault("partition", ["a2"], -19, -2)]), "there is no lock");
});

test("the ticks around an edit or a pause are nobody's duty", (t) => {
  const about = {
    specs: { "c/tick": specs["c/tick"] },
    nodes: ["a1"],
    fromMs: T,
    untilMs: T + 60_000,
    createdMs: T - 60_000,
    stretches: [],
  };
  const firm = (deeds: Deed[]) => targetsOf({ ...about, deeds }).filter(({ optional }) => !optional);
  t.is(firm([]).length, 6);
  t.is(firm([deed("edit", "c/tick", 20)]).length, 5);
  t.is(firm([deed("pause", "c/tick", 10), deed("resume", "c/tick", 40)]).length, 2);
  t.is(firm([deed("edit", "a/long", 20)]).length, 6);
});

test("what is due is open until it has a verdict, runs, or is told of by a range", (t) => {
  const targets = targetsOf({
    specs: { "c/tick": specs["c/tick"] },
    nodes: ["a1"],
    fromMs: T,
    untilMs: T + 20_000,
    createdMs: T - 60_000,
    deeds: [],
    stretches: [],
  });
  const now = T + 20_000;
  t.is(openTicks(targets, [], [], now).length, 2);
  t.is(openTicks(targets, [], [told("exit:0")], now).length, 1);
  t.is(openTicks(targets, [], [told("exit:0", { final: false })], now).length, 2);
  t.is(openTicks(targets, [ran()], [told("exit:0", { final: false, execution: "R" })], now).length, 1, "it waits for its next attempt");
  t.is(openTicks(targets, [], [told("skipped:misfireSkip", { dueUntilMs: T + 10_000 })], now).length, 0);
  t.is(openTicks(targets, [ran({ endMs: now - 100 })], [], now).length, 1, "just ended");
  t.is(openTicks(targets, [ran()], [], now).length, 2, "ended long ago, and nobody has told");
  const order: Deed = { ...deed("order", "c/tick", 0), executions: ["O"] };
  t.is(openOrders([order], [], []).length, 1);
  t.is(openOrders([order], [told("exit:0", { execution: "O" })], []).length, 0);
});

test("evidence: attempts, orders, ends by force", (t) => {
  const line = (word: string, at: number, code = "-", due = "2026-11-21T12:00:00.000Z") =>
    `${word} a/long ${due} a1 E 1 7 ${at} ${code} - -\n`;
  const [run] = parseEvidence(line("begin", T) + line("beat", T + 100) + line("end", T + 200, "3"));
  t.like(run, { job: "a/long", dueMs: T, fence: 7, beginMs: T, endMs: T + 200, exitCode: 3 });
  const [cut] = parseEvidence(line("begin", T, "-", "-") + line("beat", T + 100, "-", "-"));
  t.like(cut, { ordered: true, lastMs: T + 100 });
  t.is(cut?.endMs, undefined);
  t.is(parseEvidence(line("begin", T) + line("begin", T + 5)).length, 2, "an attempt that began twice");
});

test("two alone runs at once are a finding, but for hosts that were frozen or had nobody left", (t) => {
  const one = ran({ job: "a/long", execution: "1", beginMs: T, endMs: T + 10_000, lastMs: T + 10_000 });
  const two = ran({ job: "a/long", execution: "2", node: "a2", beginMs: T + 9000, endMs: T + 9500, lastMs: T + 9500 });
  t.like(overlapsOf([one, two], [])[0], { ms: 500, cause: undefined });
  t.deepEqual(overlapsOf([one, ran({ ...two, beginMs: T + 10_000 })], []), []);
  t.deepEqual(overlapsOf([one, two], [fault("host-stop", ["a1"], 2, 9.6)]), [], "it did nothing in that time");
  t.like(overlapsOf([one, two], [fault("host-stop", ["a1"], 2, 9.2)])[0], { ms: 300, cause: "its host was frozen" });
  t.like(overlapsOf([one, two], [fault("host-stop", ["a3"], 2, 9.2)])[0], { ms: 500, cause: undefined });
  t.like(overlapsOf([one, two], [fault("agent-and-spawner-kill", ["a1"], 2, 8)])[0], { cause: "its agent and spawner were dead" });
  const long = ran({ ...two, endMs: T + 12_000, lastMs: T + 12_000 });
  t.is(
    overlapsOf([ran({ ...one, endMs: T + 12_000 }), long], [fault("host-stop", ["a1"], 2, 9)])[0]?.cause,
    undefined,
    "longer than an instant",
  );
});

test("a process that was frozen at its start began when its record says so", (t) => {
  const run = ran({ execution: "F", beginMs: T + 9010, lastMs: T + 9010 });
  const record = told("lockLost", { execution: "F", beginMs: T + 100 });
  const begin = (stretches: Stretch[]) => trueBegins([run], [record], stretches)[0]?.beginMs;
  t.is(begin([fault("host-stop", ["a1"], 0.2, 9)]), T + 100);
  t.is(begin([fault("host-stop", ["a2"], 0.2, 9)]), T + 9010, "another host");
  t.is(begin([fault("host-stop", ["a1"], 0.2, 4)]), T + 9010, "it thawed long before");
  t.is(begin([fault("agent-stop", ["a1"], 0.2, 9)]), T + 9010, "the process itself could go on");
});
