/** The answer to "why did it (not) run?" from facts. Pure: the first statement that the facts prove is the verdict. */
import { type EpochMs, toIso } from "fleetcron-shared/base/clock";
import { formatDuration } from "fleetcron-shared/base/duration";
import type { Claim } from "fleetcron-shared/model/facts";
import type { Job, Rule } from "fleetcron-shared/model/job";
import { NO_NODE } from "fleetcron-shared/model/missed";
import { didRun, type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import type { WhyVerdict } from "../http/api-schema.ts";
import type { Candidate } from "./choose-nodes.ts";

export type WhyFacts = {
  readonly nowMs: EpochMs;
  readonly job: Job;
  readonly rule: Rule;
  /** The tick that is asked for. */
  readonly dueMs: EpochMs;
  /** False: the rule's `from` or `until` shuts the tick out. */
  readonly inWindow: boolean;
  /** Of this tick, one per attempt, node or range that covers it. */
  readonly records: readonly ExecutionRecord[];
  readonly claim: Claim | undefined;
  /** Nodes on which a process for this tick runs now. */
  readonly runningOn: readonly string[];
  /** Registered nodes that the rule matches now. */
  readonly nodes: readonly Candidate[];
  /** The oldest record that the job still has began then. */
  readonly oldestRecordMs: EpochMs | undefined;
};

export type Explanation = { readonly verdict: WhyVerdict; readonly reason: string | null; readonly text: string };

/** So long a verdict may be on its way after a tick, beside jitter and the time that isolated nodes hold it. */
const UNDER_WAY_MS = 10_000;

export function explain(facts: WhyFacts): Explanation {
  return (
    fromSchedule(facts) ?? fromRecords(facts) ?? fromRun(facts) ?? fromClaim(facts) ?? fromJob(facts) ?? fromNodes(facts) ?? fromAge(facts)
  );
}

function say(verdict: WhyVerdict, text: string, reason: string | null = null): Explanation {
  return { verdict, reason, text };
}

function fromSchedule({ dueMs, nowMs, job, rule, inWindow }: WhyFacts): Explanation | undefined {
  if (!inWindow) {
    const bound =
      rule.fromMs !== undefined && dueMs < rule.fromMs ? `begins at ${toIso(rule.fromMs)}` : `ends at ${toIso(rule.untilMs ?? 0)}`;
    return say("outsideWindow", `The timer of rule ${rule.id} names ${toIso(dueMs)}, but the rule ${bound}.`);
  }
  if (dueMs <= nowMs) return undefined;
  if (job.pause) return say("paused", `It is due at ${toIso(dueMs)}, but the job is paused: it will not fire unless it is resumed before.`);
  return say("pending", `It is due at ${toIso(dueMs)}, in ${formatDuration(dueMs - nowMs)}.`);
}

function fromRecords({ records, dueMs }: WhyFacts): Explanation | undefined {
  const ran = records.filter(({ outcome }) => didRun(outcome) && outcome.type !== "lost");
  const newest = ran.at(-1);
  const others = records.length - ran.length;
  if (newest !== undefined) {
    const nodes = [...new Set(ran.map(({ nodeId }) => nodeId))];
    const late =
      newest.skewMs === undefined
        ? ""
        : `, ${formatDuration(newest.skewMs) === "0" ? "on time" : `${formatDuration(newest.skewMs)} after it was due`}`;
    const attempts = newest.attempt > 1 ? ` at attempt ${newest.attempt}` : "";
    const more = others > 0 ? `; ${others} other verdicts are among the records` : "";
    const result = newest.success ? "succeeded" : "failed";
    return say("fired", `It ran on ${nodes.join(", ")}${late} and ${result}${attempts} (${outcomeWord(newest.outcome)})${more}.`);
  }
  const record = records.at(-1);
  if (record === undefined) return undefined;
  const { outcome } = record;
  const range =
    record.dueCount === undefined || record.dueCount < 2 ? "" : ` (one verdict for ${record.dueCount} ticks from ${record.dueAt} on)`;
  if (outcome.type === "skipped")
    return say("skipped", `Node ${record.nodeId} skipped it: ${SKIPPED[outcome.reason]}${range}.`, outcome.reason);
  if (outcome.type === "missed") return fromMissed(records, range);
  const why = outcome.type === "lost" ? outcome.why : "unknown";
  const provisional = record.provisional ? "; if the node returns, its own record replaces this verdict" : "";
  return say(
    "lost",
    `Node ${record.nodeId} had taken the tick of ${toIso(dueMs)} and was lost (${why}) before it reported an end${provisional}.`,
    why,
  );
}

/** Of several nodes that have missed it, the newest record gives the reason. */
function fromMissed(records: readonly ExecutionRecord[], range: string): Explanation | undefined {
  const missed = records.filter(({ outcome }) => outcome.type === "missed");
  const record = missed.at(-1);
  if (record?.outcome.type !== "missed") return undefined;
  const { reason } = record.outcome;
  const nodes = [...new Set(missed.map(({ nodeId }) => nodeId))].filter((node) => node !== NO_NODE);
  const where = nodes.length === 0 ? "" : ` on ${nodes.slice(0, 5).join(", ")}${nodes.length > 5 ? ` and ${nodes.length - 5} more` : ""}`;
  const yet = record.provisional ? "; if a node reports it after all, that takes the place of this verdict" : "";
  return say("missed", `It was missed${where}: ${MISSED[reason]}${range}${yet}.`, reason);
}

const SKIPPED = {
  overlap: "the run before it was still going on",
  isolated: "etcd was out of reach for longer than the job may wait",
  drained: "the node was draining",
  capacity: "the node had no room",
  misfireSkip: "it had passed while no agent was there, and the job's misfire policy does not run it late",
  cancelled: "it was cancelled",
  policy: "the host's own policy does not allow it",
  secrets: "the node has no value for one of its secrets",
  diskFull: "the disk of the node was full",
} as const;

const MISSED = {
  nodeOffline: "no node that it was for was online to run and report it",
  noMatchingNode: "no registered node matched",
  misfireWindow: "when an agent was there again, it was older than the job's misfire window",
  unknown: "a node that it was for was online, and nobody has claimed, run or reported it",
} as const;

function fromRun({ runningOn }: WhyFacts): Explanation | undefined {
  return runningOn.length === 0 ? undefined : say("running", `It runs now on ${runningOn.join(", ")}.`);
}

function fromClaim({ claim, nodes }: WhyFacts): Explanation | undefined {
  if (claim === undefined) return undefined;
  if (claim.verdict !== undefined)
    return say("skipped", `Node ${claim.node} took the tick and ended it without a run: ${claim.verdict}.`, claim.verdict);
  const isOnline = nodes.some((node) => node.id === claim.node && node.online);
  const rest = isOnline ? "has not reported its start or end yet" : "is not online; when it stays away the tick gets the verdict lost";
  return say("claimed", `Node ${claim.node} took it at ${claim.at} and ${rest}.`);
}

function fromJob({ job, dueMs }: WhyFacts): Explanation | undefined {
  if (dueMs < job.createdAtMs) return say("beforeJob", `The job did not exist then: it was created at ${toIso(job.createdAtMs)}.`);
  if (dueMs <= job.updatedAtMs && job.submittedAtMs !== dueMs) {
    return say(
      "beforeJob",
      `The job was changed at ${toIso(job.updatedAtMs)}; its present form has no ticks before that, and no record tells of an earlier one.`,
    );
  }
  if (job.pause) return say("paused", `The job is paused since ${toIso(job.updatedAtMs)}; paused ticks do not fire and leave no record.`);
  return undefined;
}

function fromNodes({ nodes, job, rule, dueMs, nowMs }: WhyFacts): Explanation | undefined {
  if (nodes.length === 0) return say("noNode", `No registered node matches rule ${rule.id}.`, "noMatchingNode");
  const patience = UNDER_WAY_MS + rule.jitterMs + job.holdForMs;
  const online = nodes.filter((node) => node.online);
  if (nowMs - dueMs < patience && online.length > 0) {
    return say("pending", `It was due ${formatDuration(nowMs - dueMs)} ago; no record or claim has come in yet.`);
  }
  if (online.length === 0) return say("noNode", `None of the ${nodes.length} nodes that match is online.`, "nodeOffline");
  return undefined;
}

function fromAge({ oldestRecordMs, dueMs, job }: WhyFacts): Explanation {
  if (oldestRecordMs !== undefined && dueMs < oldestRecordMs) {
    return say(
      "unknown",
      `The job keeps ${job.retain.count} records for at most ${formatDuration(job.retain.ageMs)}; those of this tick are no longer kept.`,
    );
  }
  return say(
    "unknown",
    "There is no record, no claim and no process of this tick, and nothing that is known now explains it. When its time to report is over, the leader's auditor gives it a verdict.",
  );
}
