import test from "ava";
import fc from "fast-check";
import type { Failing, JobStats } from "fleetcron-shared/model/facts";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { NotifyRule } from "fleetcron-shared/model/notify-rules";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { countRecord, NO_STATS, uncountProvisional } from "../leader/stats.ts";
import { noticesOfRecord } from "./notices.ts";
import { type Happening, judge } from "./streaks.ts";

const AT = "2027-01-31T08:00:00.000Z";
type Result = Happening["result"];

/** What is told, result after result: the events of each, joined. */
function tell(rules: readonly NotifyRule[], results: readonly Result[]): string[] {
  let failing: Failing | undefined;
  return results.map((result) => {
    const judgement = judge(rules, { also: [], result }, failing);
    failing = judgement.failing;
    return judgement.events.join("+");
  });
}

const [ok, fail, final]: Result[] = ["success", "failure", "finalFailure"];

test("a final failure is told once per streak, from the N-th in a row on, and recovery only after it", (t) => {
  const rule: NotifyRule = { on: ["finalFailure", "recovery"], to: ["ops"] };
  t.deepEqual(tell([rule], [ok!, fail!, final!, fail!, final!, ok!, ok!, final!]), [
    "",
    "",
    "finalFailure",
    "",
    "",
    "recovery",
    "",
    "finalFailure",
  ]);
  const third = { ...rule, after: 3 };
  t.deepEqual(tell([third], [final!, final!, ok!, final!, final!, final!, final!, ok!]), [
    "",
    "",
    "",
    "",
    "",
    "finalFailure",
    "",
    "recovery",
  ]);
});

test("each failed attempt is told, or from the N-th in a row on", (t) => {
  t.deepEqual(tell([{ on: ["failure"], to: ["ops"] }], [fail!, fail!, final!, ok!]), ["failure", "failure", "failure", ""]);
  t.deepEqual(tell([{ on: ["failure"], after: 2, to: ["ops"] }], [fail!, fail!, final!, ok!, fail!]), ["", "failure", "failure", "", ""]);
  const both: NotifyRule = { on: ["failure", "finalFailure", "recovery"], to: ["ops"] };
  t.deepEqual(tell([both], [fail!, final!, final!, ok!]), ["failure", "finalFailure+failure", "failure", "recovery"]);
});

test("a rule hears of a recovery when it has told of the failure; a rule for recoveries alone when any has", (t) => {
  const chat: NotifyRule = { on: ["failure", "recovery"], to: ["chat"] };
  const pager: NotifyRule = { on: ["finalFailure", "recovery"], after: 2, to: ["pager"] };
  const log: NotifyRule = { on: ["recovery"], to: ["log"] };
  const first = judge([chat, pager, log], { also: [], result: "finalFailure" }, undefined);
  t.deepEqual(first.to, [{ channel: "chat", mention: [] }]);
  const end = judge([chat, pager, log], { also: [], result: "success" }, first.failing);
  t.deepEqual(
    end.to.map(({ channel }) => channel),
    ["chat", "log"],
  );
  t.is(end.failing, undefined);
  t.deepEqual(judge([log], { also: [], result: "success" }, { final: 1, attempts: 1 }).to, []);
});

test("rules for one channel make one notice, with everybody who is to be mentioned", (t) => {
  const rules: NotifyRule[] = [
    { on: ["failure"], to: ["ops"], mention: ["U1"] },
    { on: ["timeout", "every"], to: ["ops", "log"], mention: ["U2"] },
  ];
  t.deepEqual(judge(rules, { also: ["timeout"], result: "finalFailure" }, undefined), {
    failing: { final: 1, attempts: 1, told: judge(rules, { also: ["timeout"], result: "finalFailure" }, undefined).failing?.told ?? [] },
    events: ["timeout", "failure", "every"],
    to: [
      { channel: "ops", mention: ["U1", "U2"] },
      { channel: "log", mention: ["U2"] },
    ],
  });
});

test("whatever happens: at most one final failure between recoveries, and a recovery for each that was told", (t) => {
  const results = fc.array(fc.constantFrom<Result>("success", "failure", "finalFailure", "none"), { maxLength: 60 });
  fc.assert(
    fc.property(results, fc.integer({ min: 1, max: 4 }), (history, after) => {
      let open = false;
      for (const [at, told] of tell([{ on: ["finalFailure", "recovery"], after, to: ["ops"] }], history).entries()) {
        if (told === "finalFailure") {
          if (open || history.slice(0, at + 1).filter((one) => one === "finalFailure").length < after) return false;
          open = true;
        } else if (told === "recovery") {
          if (!open) return false;
          open = false;
        } else if (open && history[at] === "success") return false;
      }
      return true;
    }),
  );
  t.pass();
});

const jobOf = (notify: NotifyRule[], kind: "common" | "interval" = "common") =>
  compileJob(
    { group: "db", id: "backup", revision: 1, createdAt: AT, updatedAt: AT, submittedAt: AT },
    { kind, notify, retry: { limit: 2 }, run: { command: { script: "x" } }, rules: [{ mode: "cycle", timer: "@hourly" }] },
  );
const recordOf = (more: Partial<ExecutionRecord>): ExecutionRecord => ({
  ...{ v: 1, id: "E-1", execution: "E", jobGroup: "db", jobId: "backup", jobRevision: 1, attempt: 1, finalAttempt: true, nodeId: "web-1" },
  ...{
    hostname: "web-1",
    name: "backup",
    endTime: AT,
    durationMs: 100,
    success: true,
    outcome: { type: "exit", code: 0 },
    isHandled: true,
  },
  ...more,
});
const failed = { success: false, outcome: { type: "exit", code: 1 } } as const;

function file(job: ReturnType<typeof jobOf>, stats: JobStats, record: ExecutionRecord, replaced?: ExecutionRecord) {
  const before = replaced === undefined ? stats : uncountProvisional(stats, replaced);
  return noticesOfRecord(job, record, before, countRecord(before, record), replaced);
}

test("nodes of a common job fail and recover each for itself, those of an interval job together", (t) => {
  const rules: NotifyRule[] = [{ on: ["finalFailure", "recovery"], to: ["ops"] }];
  const common = jobOf(rules);
  const one = file(common, NO_STATS, recordOf(failed));
  const two = file(common, one.stats, recordOf({ nodeId: "web-2" }));
  t.is(two.notice, undefined, "web-2 has not failed");
  t.deepEqual(Object.keys(two.stats.failing ?? {}), ["web-1"]);
  const end = file(common, two.stats, recordOf({}));
  t.is(end.notice?.title, "db/backup works again on web-1, after 1 failure");
  t.is(end.stats.failing, undefined);
  const interval = jobOf(rules, "interval");
  t.is(file(interval, file(interval, NO_STATS, recordOf(failed)).stats, recordOf({ nodeId: "web-2" })).notice?.severity, "good");
});

test("titles say which job, where, and why", (t) => {
  const job = jobOf([{ on: ["failure", "missed", "lost", "timeout", "every"], to: ["ops"] }]);
  const title = (more: Partial<ExecutionRecord>) => file(job, NO_STATS, recordOf(more)).notice?.title;
  t.is(title({ ...failed, finalAttempt: false }), "db/backup failed on web-1: exit code 1 (attempt 1 of 3; it is tried again)");
  t.is(title({ ...failed, attempt: 3 }), "db/backup failed on web-1: exit code 1 (attempt 3, the last)");
  t.is(title({ success: false, outcome: { type: "timeout", afterMs: 300_000 } }), "db/backup failed on web-1: not done within 5m");
  t.is(title({ success: false, outcome: { type: "lost", why: "nodeGone" } }), "db/backup failed on web-1: the node is gone");
  t.is(
    title({ success: false, outcome: { type: "missed", reason: "misfireWindow" }, dueAt: AT, dueCount: 3 }),
    `db/backup was missed 3 times on web-1: too old when an agent was there again (misfireWindow), due ${AT}`,
  );
  t.is(title({ durationMs: 65_400 }), "db/backup succeeded on web-1 in 1m5s");
  t.is(file(job, NO_STATS, recordOf({ success: false, outcome: { type: "skipped", reason: "policy" } })).notice?.events[0], "missed");
  t.deepEqual(file(job, NO_STATS, recordOf({ success: false, outcome: { type: "skipped", reason: "overlap" } })).notice?.events, ["every"]);
});

test("slow is far beyond the job's own history, and needs one", (t) => {
  const job = jobOf([{ on: ["slow"], to: ["ops"] }]);
  let stats: JobStats = NO_STATS;
  for (let run = 0; run < 12; run++) {
    const filed = file(job, stats, recordOf({ durationMs: run === 3 ? 60_000 : 10_000 + run * 10 }));
    if (run === 3) t.is(filed.notice, undefined, "three runs are no history");
    stats = filed.stats;
  }
  t.is(file(job, stats, recordOf({ durationMs: 20_000 })).notice, undefined);
  t.regex(file(job, stats, recordOf({ durationMs: 120_000 })).notice?.title ?? "", /it took 2m, usually 1\ds$/);
});

test("the true record of a lost execution takes the verdict's place: another notice, no second failure", (t) => {
  const job = jobOf([{ on: ["lost", "finalFailure", "recovery"], to: ["ops"] }]);
  const lost = recordOf({ success: false, outcome: { type: "lost", why: "nodeGone" }, provisional: true });
  const first = file(job, NO_STATS, lost);
  t.deepEqual([first.notice?.id, first.notice?.events], ["E-1", ["finalFailure", "lost"]]);
  const truth = file(job, first.stats, recordOf({}), lost);
  t.deepEqual([truth.notice?.id, truth.notice?.events], ["E-1.true", ["recovery"]]);
  const bad = file(job, first.stats, recordOf(failed), lost);
  t.is(bad.notice, undefined, "it was told already");
  t.is(bad.stats.failing?.["web-1"]?.final, 1);
});
