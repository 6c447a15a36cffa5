import test from "ava";
import { isCode } from "../base/errors.ts";
import { checkJob, parseJobSpec } from "./job-check.ts";
import type { JobSpec, RuleSpec } from "./job-spec.ts";

const NOW = Date.UTC(2026, 0, 15, 12);
const daily: RuleSpec = { mode: "cycle", timer: "0 3 * * *" };
const good: JobSpec = { run: { command: { script: "true" } }, rules: [daily] };
const check = (change: Partial<JobSpec>) => checkJob("db", "backup", { ...good, ...change }, NOW);
const rule = (change: Partial<RuleSpec>) => ({ rules: [{ ...daily, ...change }] });
const once: RuleSpec = { mode: "onlyonce" };

test("sound jobs have no issues", (t) => {
  t.deepEqual(check({}), []);
  t.deepEqual(check({ overlap: "allow", parallel: 5 }), []);
  t.deepEqual(check({ kind: "alone", onNodeLost: "rerun", onIsolation: "hold" }), []);
  t.deepEqual(check(rule({ timer: "@startup" })), []);
  t.deepEqual(check(rule({ timer: "@at 2027-01-01T00:00:00Z" })), []);
  t.deepEqual(check(rule({ timer: "@every 90s", jitter: "89s" })), []);
  t.deepEqual(check({ rules: [once, { mode: "manyonce" }, { ...daily, timezone: "Europe/Berlin" }] }), []);
  t.deepEqual(check(rule({ from: "2025-01-01T00:00:00Z", until: "2025-02-01T00:00:00Z" })), [], "a window that is over is no fault");
});

const wrong: [string, Partial<JobSpec>, string, RegExp][] = [
  ["cycle without timer", { rules: [{ mode: "cycle" }] }, "rules[0].timer", /is missing/],
  ["onlyonce with timer", rule({ mode: "onlyonce" }), "rules[0].timer", /mode onlyonce has no timer/],
  ["manyonce with timer", rule({ mode: "manyonce" }), "rules[0].timer", /mode manyonce has no timer/],
  ["bad cron field", rule({ timer: "61 * * * *" }), "rules[0].timer", /61/],
  ["30 February", rule({ timer: "0 0 30 2 *" }), "rules[0].timer", /never fires/],
  ["@at in the past", rule({ timer: "@at 2026-01-01T00:00:00Z" }), "rules[0].timer", /no tick after now/],
  ["@reboot", rule({ timer: "@reboot" }), "rules[0].timer", /@reboot/],
  ["unknown zone", rule({ timezone: "Europe/Belrin" }), "rules[0].timezone", /Europe\/Belrin/],
  ["unknown zone without timer", { rules: [{ ...once, timezone: "Mars" }] }, "rules[0].timezone", /Mars/],
  ["from after until", rule({ from: "2027-02-01T00:00:00Z", until: "2027-01-01T00:00:00Z" }), "rules[0].until", /not later than from/],
  ["no tick between", rule({ from: "2027-02-01T04:00:00Z", until: "2027-02-01T05:00:00Z" }), "rules[0].until", /no tick between/],
  ["jitter over the gap", rule({ timer: "* * * * *", jitter: "60s" }), "rules[0].jitter", /time between two ticks, 1m/],
  ["jitter over the window", rule({ jitter: "2h" }), "rules[0].jitter", /misfireWindow, 1h/],
  ["taken rule id", { rules: [{ ...once, id: "r2" }, once] }, "rules[1].id", /taken by rules\[0\]/],
  ["excluded targets", rule({ target: { nodes: ["a"], exclude: ["a", "b"] } }), "rules[0].target.exclude", /never runs/],
  ["allow for alone", { kind: "alone", overlap: "allow" }, "overlap", /only for kind common/],
  ["parallel without allow", { parallel: 2 }, "parallel", /need overlap: allow/],
  ["isolated alone", { kind: "alone", onIsolation: "run" }, "onIsolation", /cannot run without etcd/],
  ["isolated interval", { kind: "interval", onIsolation: "run" }, "onIsolation", /cannot run without etcd/],
  ["rerun of common", { onNodeLost: "rerun" }, "onNodeLost", /only for kinds/],
  ["holdFor over window", { misfireWindow: "10s", holdFor: "1m" }, "holdFor", /longer than misfireWindow/],
  ["maxDelay under delay", { retry: { limit: 1, delay: "1m", maxDelay: "1s" } }, "retry.maxDelay", /shorter than delay/],
  ["no runner", { run: {} }, "run", /says nothing of what to run/],
  [
    "two runners",
    { run: { command: { script: "a" }, http: { url: "https://a.example" } } },
    "run",
    /command and http are given; exactly one/,
  ],
  ["ssh without a program", { run: { ssh: { hosts: ["a"] } } }, "run.ssh", /neither script nor argv/],
  [
    "exit codes of a call",
    { run: { http: { url: "https://a.example" } }, success: { exitCodes: [1] } },
    "success.exitCodes",
    /no exit code/,
  ],
  ["a result of a call", { run: { http: { url: "https://a.example" } }, resultFrom: "stderr" }, "resultFrom", /only a command/],
  ["nothing to run", { run: { command: {} } }, "run.command", /neither script nor argv/],
  ["two things to run", { run: { command: { script: "a", argv: ["a"] } } }, "run.command", /both script and argv/],
  ["blank script", { run: { command: { script: " \n" } } }, "run.command.script", /blank/],
  ["no program", { run: { command: { argv: ["", "x"] } } }, "run.command.argv[0]", /empty/],
  ["shell for argv", { run: { command: { argv: ["x"], shell: ["/bin/sh"] } } }, "run.command.shell", /without a shell/],
  ["too large", { env: { A: "x".repeat(30_000), B: "x".repeat(30_000) } }, "", /58\.\d KiB as JSON; at most 56KiB/],
];
for (const [name, change, path, message] of wrong) {
  test(`${name} is refused once, with its path`, (t) => {
    const issues = check(change);
    t.is(issues.length, 1, JSON.stringify(issues));
    t.is(issues[0]?.path, `jobs.db/backup${path === "" ? "" : `.${path}`}`);
    t.regex(issues[0]?.message ?? "", message);
  });
}

test("all faults are reported together", (t) => {
  t.is(
    check({ kind: "alone", overlap: "allow", onIsolation: "run", rules: [{ mode: "cycle" }, { ...daily, timezone: "Mars" }] }).length,
    4,
  );
});

test("group and id have a form", (t) => {
  t.is(checkJob("db/x", "Backup", good, NOW).length, 2);
});

test("a value from REST is checked in shape and meaning", (t) => {
  t.deepEqual(parseJobSpec("db", "backup", JSON.parse(JSON.stringify(good)), NOW), good);
  const shape = t.throws(() => parseJobSpec("db", "backup", { ...good, kind: "single" }, NOW));
  t.true(isCode(shape, "input/invalid") && shape.issues[0]?.path === "jobs.db/backup.kind");
  const meaning = t.throws(() => parseJobSpec("db", "backup", { ...good, parallel: 3 }, NOW));
  t.true(isCode(meaning, "input/invalid") && meaning.issues[0]?.path === "jobs.db/backup.parallel");
  t.throws(() => parseJobSpec("db", "backup", null, NOW), { message: /not accepted/ });
});
