/**
 * Did everything that was due happen, once and in time? The checker of shared/check over schedules, records, claims and processes, job by job. Only reads.
 * Bounded: by the span, by how many ticks and records are looked at, and by how many findings are listed (all are counted). What cannot be known is said.
 */
import { type EpochMs, fromIso, toIso } from "fleetcron-shared/base/clock";
import { parseDuration } from "fleetcron-shared/base/duration";
import { AppError } from "fleetcron-shared/base/errors";
import { suggest } from "fleetcron-shared/base/suggest";
import { sortFindings } from "fleetcron-shared/check/check";
import type { FindingKind } from "fleetcron-shared/check/history";
import { createTally, type Summary } from "fleetcron-shared/check/summary";
import type { Job } from "fleetcron-shared/model/job";
import type { VerifyFinding, VerifyResult } from "../http/verify-schema.ts";
import { fromKey } from "../job-ref.ts";
import { findJob } from "./find.ts";
import { createTurns } from "./turns.ts";
import { type JobVerification, type VerifyDeps, type VerifySpan, verifyJob } from "./verify-job.ts";
import type { TickFinding } from "./verify-streaks.ts";

type Query = {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly job?: string | undefined;
  readonly group?: string | undefined;
  readonly lateAfter: string;
  readonly limit: number;
};

const DAY_MS = 86_400_000;
const MAX_DAYS = 92;
const MAX_TICKS = 2_000_000;
const MAX_RECORDS = 1_000_000;
const MAX_UNKNOWN = 100;

export async function verify(deps: VerifyDeps, query: Query): Promise<VerifyResult> {
  const span = spanOf(query, deps.clock.now());
  const jobs = await chooseJobs(deps, query);
  const tools = { tally: createTally(), budget: { records: MAX_RECORDS, ticks: MAX_TICKS }, turn: createTurns(deps.clock) };
  const listed: VerifyFinding[] = [];
  const counts: Partial<Record<FindingKind, number>> = {};
  const unknown: VerifyResult["unknown"] = [];
  let found = 0;
  let unknownCount = 0;
  let isHistoryAway = false;
  for (const job of jobs) {
    const verified: JobVerification = await verifyJob(deps, job, span, tools);
    isHistoryAway ||= verified.isHistoryAway;
    found += verified.findings.length;
    for (const { kind } of verified.findings) counts[kind] = (counts[kind] ?? 0) + 1;
    if (listed.length < query.limit)
      listed.push(
        ...sortFindings(verified.findings)
          .slice(0, query.limit - listed.length)
          .map(findingView),
      );
    if (verified.unknown === undefined) continue;
    unknownCount += 1;
    const { text, beforeMs } = verified.unknown;
    if (unknown.length < MAX_UNKNOWN) unknown.push({ job: job.key, before: toIso(beforeMs), text });
  }
  if (isHistoryAway) unknown.unshift({ text: "the history does not answer, or is still being filled: only what etcd holds was looked at" });
  return {
    ...{ since: toIso(span.sinceMs), until: toIso(span.untilMs), jobs: jobs.length },
    ...{ findings: listed, more: found - listed.length },
    summary: summaryView(tools.tally.summary(), counts),
    ...{ unknown, unknownMore: Math.max(0, unknownCount - MAX_UNKNOWN) },
  };
}

function spanOf({ since, until, lateAfter }: Query, nowMs: EpochMs): VerifySpan {
  const untilMs = Math.min(nowMs, (until === undefined ? undefined : fromIso(until)) ?? nowMs);
  const sinceMs = (since === undefined ? undefined : fromIso(since)) ?? untilMs - DAY_MS;
  const lateAfterMs = parseDuration(lateAfter);
  if (lateAfterMs === undefined) {
    throw new AppError("input/invalid", `lateAfter "${lateAfter}" is not a duration`, { hint: "write it like 30s, 5m or 1h30m" });
  }
  if (sinceMs >= nowMs) {
    const hint = "only what was due can be looked at; choose an earlier time";
    throw new AppError("input/invalid", `since ${toIso(sinceMs)} lies in the future: it is ${toIso(nowMs)}`, { hint });
  }
  if (sinceMs >= untilMs) {
    throw new AppError("input/invalid", `since ${toIso(sinceMs)} is not before until ${toIso(untilMs)}`, { hint: "turn them round" });
  }
  if (untilMs - sinceMs > MAX_DAYS * DAY_MS) {
    const hint = `ask for at most ${MAX_DAYS} days at a time`;
    throw new AppError("input/too-large", `from ${toIso(sinceMs)} to ${toIso(untilMs)} are more than ${MAX_DAYS} days`, { hint });
  }
  return { sinceMs, untilMs, lateAfterMs };
}

/** By name; throws `job/not-found` when there is none that is meant: a mistake in a name must not look like a clean answer. */
async function chooseJobs(deps: VerifyDeps, { job, group }: Query): Promise<Job[]> {
  if (job !== undefined) {
    const { job: one } = await findJob(deps, fromKey(job));
    if (group === undefined || one.group === group) return [one];
    throw new AppError("input/invalid", `job ${job} is not in group ${group}`, { hint: "name one of the two only" });
  }
  const all = [...deps.views.jobs.entries()].map(([, entry]) => entry.job);
  const chosen = all.filter((one) => group === undefined || one.group === group).sort((a, b) => (a.key < b.key ? -1 : 1));
  if (group !== undefined && chosen.length === 0) {
    const near = suggest(
      group,
      all.map((one) => one.group),
    );
    throw new AppError("job/not-found", `there is no job in group ${group}`, near === undefined ? {} : { hint: `did you mean ${near}?` });
  }
  return chosen;
}

function summaryView({ lateness, ...rest }: Summary, findings: VerifyResult["summary"]["findings"]): VerifyResult["summary"] {
  return { ...rest, findings, ...(lateness === undefined ? {} : { lateness: { ...lateness, histogram: [...lateness.histogram] } }) };
}

function findingView({ kind, job, rule, node, dueMs, dueUntilMs, ticks, text }: TickFinding): VerifyFinding {
  return {
    ...{ kind, job },
    ...(rule === undefined ? {} : { rule }),
    ...(node === undefined ? {} : { node }),
    ...(dueMs === undefined ? {} : { dueAt: toIso(dueMs) }),
    ...(dueUntilMs === undefined ? {} : { dueUntil: toIso(dueUntilMs) }),
    ...(ticks === undefined ? {} : { ticks }),
    text,
  };
}
