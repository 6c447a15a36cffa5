import test from "ava";
import { toIso } from "fleetcron-shared/base/clock";
import type { Alive } from "fleetcron-shared/model/facts";
import { type AuditFacts, type AuditTarget, JUDGE_TIMES, judge, MAX_WAIT_MS } from "./audit-judge.ts";
import type { AuditNode } from "./audit-nodes.ts";

const DUE = Date.UTC(2027, 0, 1, 12);
const SECOND = 1000;
const HOUR = 3600 * SECOND;
const TIMES = { ...JUDGE_TIMES, lostAfterMs: 60 * SECOND };
const alive = (startedMs: number, queued = 0): Alive => ({
  ...{ v: 1, node: "a", instance: "i", startedAt: toIso(startedMs), running: 0, queued, observedRevision: 0 },
});
/** Online since a day. */
const node = (more: Partial<AuditNode> = {}): AuditNode => ({
  ...{
    id: "a",
    hostname: "a",
    sinceMs: 0,
    labels: {},
    before: [],
    alive: alive(DUE - 24 * HOUR),
    turnedMs: DUE - 24 * HOUR,
    caughtUpMs: 0,
  },
  ...more,
});
const away = (sinceMs: number) => node({ alive: undefined, turnedMs: sinceMs });
const back = (sinceMs: number, queued = 0) => node({ alive: alive(sinceMs, queued), turnedMs: sinceMs });
const ONE: AuditTarget = {
  dueMs: DUE,
  graceMs: 60 * SECOND,
  misfireWindowMs: HOUR,
  formMs: DUE - 48 * HOUR,
  formUntilMs: Number.POSITIVE_INFINITY,
  node: "a",
  queues: false,
};
const ALL: AuditTarget = { ...ONE, node: undefined };

/** Seconds after the due time, the target, nodes, and what else holds. */
const CASES: readonly (readonly [string, number, AuditTarget, readonly AuditNode[], Partial<AuditFacts>, string])[] = [
  ["nothing known of an online node: it may be dead, and its session outlives it", 124, ONE, [node()], {}, "wait"],
  ["nothing known of an online node", 125, ONE, [node()], {}, "unknown"],
  ["the grace is not over", 59, ONE, [node()], {}, "wait"],
  ["it runs", 3600, ONE, [node()], { runs: () => true }, "wait"],
  ["it runs for more than a day", MAX_WAIT_MS / SECOND + 61, ONE, [node()], { runs: () => true }, "unknown"],
  ["the node was away and is", 61, ONE, [away(DUE - HOUR)], {}, "nodeOffline"],
  ["it went after the tick: the undertaker first", 61, ONE, [away(DUE + 10 * SECOND)], {}, "wait"],
  ["it went after the tick and the undertaker had his time", 76, ONE, [away(DUE + 10 * SECOND)], {}, "nodeOffline"],
  ["it is back just now", 600, ONE, [back(DUE + 590 * SECOND)], {}, "wait"],
  ["it is back and says nothing", 700, ONE, [back(DUE + 590 * SECOND)], {}, "nodeOffline"],
  ["its agent was started again", 61, ONE, [node({ alive: alive(DUE + 1) })], {}, "nodeOffline"],
  ["it delivers what it had kept back", 70, ONE, [node({ caughtUpMs: DUE + 60 * SECOND })], {}, "wait"],
  ["it has delivered that", 125, ONE, [node({ caughtUpMs: DUE + 60 * SECOND })], {}, "unknown"],
  ["something waits there for room", 600, ONE, [node({ alive: alive(0, 1) })], {}, "wait"],
  ["it would have been given up by now", 3700, ONE, [node({ alive: alive(0, 1) })], {}, "unknown"],
  ["it queues behind another run", 9000, { ...ONE, queues: true }, [node()], { runs: (_, what) => what === "job" }, "wait"],
  ["another run is no reason to wait", 9000, ONE, [node()], { runs: (_, what) => what === "job" }, "unknown"],
  ["the node was forgotten", 61, ONE, [], {}, "exempt"],
  ["the job was just edited: the node may be dying", 124, { ...ONE, formMs: DUE - SECOND }, [node()], {}, "wait"],
  ["the job was just edited", 125, { ...ONE, formMs: DUE - SECOND }, [node()], {}, "exempt"],
  [
    "the job was changed right after it: the node's clock may be behind",
    125,
    { ...ONE, formUntilMs: DUE + SECOND },
    [node()],
    {},
    "exempt",
  ],
  ["the same, and the node was away", 61, { ...ONE, formUntilMs: DUE + SECOND }, [away(DUE - HOUR)], {}, "nodeOffline"],
  ["the job was changed later", 125, { ...ONE, formUntilMs: DUE + 10 * SECOND }, [node()], {}, "unknown"],
  ["the node was just there for the first time", 125, ONE, [node({ sinceMs: DUE - SECOND })], {}, "exempt"],
  ["edited while the node was away", 61, { ...ONE, formMs: DUE - SECOND }, [away(DUE - HOUR)], {}, "nodeOffline"],
  ["no node at all", 61, ALL, [], {}, "noMatchingNode"],
  ["all are away", 61, ALL, [away(DUE - HOUR), away(DUE - 2 * HOUR)], {}, "nodeOffline"],
  ["one of them is there", 125, ALL, [away(DUE - HOUR), node()], {}, "unknown"],
  ["one of them is back just now", 61, ALL, [away(DUE - HOUR), back(DUE + 30 * SECOND)], {}, "wait"],
  ["claimed with a verdict", 61, ALL, [node()], { claim: { node: "a", verdict: "skipped:overlap" } }, "covered"],
  ["claimed by one that is there", 9000, ALL, [node()], { claim: { node: "a" } }, "wait"],
  ["claimed by one that went", 9000, ALL, [away(DUE + 8990 * SECOND)], { claim: { node: "a" } }, "wait"],
  [
    "claimed by one that went, and the undertaker had his time",
    9100,
    ALL,
    [away(DUE + 8990 * SECOND)],
    { claim: { node: "a" } },
    "unknown",
  ],
  ["claimed by one that nobody knows", 61, ALL, [node()], { claim: { node: "b" } }, "unknown"],
];

for (const [name, seconds, target, nodes, more, expected] of CASES) {
  test(`judging a tick: ${name}`, (t) => {
    const facts: AuditFacts = { nowMs: DUE + seconds * SECOND, nodes, claim: undefined, runs: () => false, ...more };
    const judgement = judge(target, facts, TIMES);
    t.is<string, string>(judgement.type === "missed" ? judgement.reason : judgement.type, expected);
  });
}
