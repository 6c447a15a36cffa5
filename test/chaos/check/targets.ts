/** What had to happen: every due tick of the jobs, on each node or once. Ticks around an edit or a pause may fire or not. Pure. */
import { createTimetable } from "fleetcron/timetable";
import { type EpochMs, toIso } from "fleetcron-shared/base/clock";
import type { Target } from "fleetcron-shared/check/history";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { Stretch } from "../fault-log.ts";
import { MAX_STEP_MS } from "../faults/clock.ts";
import type { Deed } from "../traffic/traffic.ts";

export type TargetFacts = {
  readonly specs: Readonly<Record<string, JobSpec>>;
  readonly nodes: readonly string[];
  readonly fromMs: EpochMs;
  readonly untilMs: EpochMs;
  readonly createdMs: EpochMs;
  readonly deeds: readonly Deed[];
  readonly stretches: readonly Stretch[];
  /** Leave out what was due while an agent was away, when its job was edited before it returned: only the auditor speaks of it, in its own time. */
  readonly seenOnly?: boolean;
};

/** So long before and after an edit its ticks are nobody's duty: nodes learn of it at different times. */
const AROUND_EDIT_MS = 6000;
/** Late on a machine with much to do. */
const LATE_MS = 5000;
/** … when it has to wait for the run before it. */
const LATE_IN_LINE_MS = 15_000;
/** … when something was broken: it ran when it could. */
const LATE_BY_FAULT_MS = 90_000;
/** A fault is felt so long. */
export const FELT_MS = 15_000;

export function targetsOf(facts: TargetFacts): Target[] {
  const timetable = createTimetable("UTC");
  return Object.entries(facts.specs).flatMap(([key, spec]) => {
    const at = toIso(facts.createdMs);
    const [group = "", id = ""] = key.split("/");
    const job = compileJob({ group, id, revision: 1, createdAt: at, updatedAt: at, submittedAt: at }, spec);
    const shaky = unsettled(facts, key);
    return job.rules.flatMap((rule) => {
      const times = timetable.of(job, rule);
      const found: Target[] = [];
      for (let dueMs = times.nextAfter(facts.fromMs - 1); dueMs !== undefined && dueMs < facts.untilMs; dueMs = times.nextAfter(dueMs)) {
        const due = dueMs;
        const isShaky = shaky.some(({ fromMs, untilMs }) => due >= fromMs && due <= untilMs);
        const target = {
          job: key,
          rule: rule.id,
          dueMs,
          ...windowOf(facts, due, job.overlap !== "skip"),
          retries: job.retry.limit,
          ...(isShaky ? { optional: true } : {}),
        };
        const more = job.onNodeLost === "rerun" ? { rerun: true } : {};
        const each = job.kind === "common" ? facts.nodes.map((node) => ({ ...target, ...more, node })) : [{ ...target, ...more }];
        found.push(...each);
      }
      return found;
    });
  });
}

/** When the job's form was not the same everywhere, or it was paused. */
export function unsettled(
  { deeds, stretches, seenOnly = false }: Pick<TargetFacts, "deeds" | "stretches" | "seenOnly">,
  job: string,
): { fromMs: EpochMs; untilMs: EpochMs }[] {
  let pausedSince: EpochMs | undefined;
  return deeds
    .filter(({ what, on }) => on === job && ["edit", "pause", "resume"].includes(what))
    .map(({ what, ok, fromMs, untilMs }) => {
      const from = (what !== "pause" && pausedSince !== undefined ? pausedSince : fromMs) - AROUND_EDIT_MS;
      if (what === "pause") pausedSince = fromMs;
      // An edit leaves a pause in place.
      else if (what === "resume" && ok) pausedSince = undefined;
      // Who was cut off then learns of it later.
      const heard = stretches.filter((stretch) => stretch.fromMs <= untilMs && (stretch.untilMs ?? untilMs) >= fromMs - FELT_MS);
      const unseen = seenOnly ? heard.map((stretch) => stretch.fromMs - AROUND_EDIT_MS) : [];
      return {
        fromMs: Math.min(from, ...unseen),
        untilMs: Math.max(untilMs, ...heard.map((stretch) => stretch.untilMs ?? untilMs)) + AROUND_EDIT_MS,
      };
    });
}

function windowOf({ stretches }: TargetFacts, dueMs: EpochMs, waitsInLine: boolean): Pick<Target, "earliestMs" | "latestMs"> {
  const near = stretches.filter(
    ({ fromMs, untilMs = Number.POSITIVE_INFINITY }) => dueMs >= fromMs - LATE_IN_LINE_MS && dueMs <= untilMs + FELT_MS,
  );
  const early = near.some(({ fault }) => fault === "clock") ? MAX_STEP_MS + 1000 : 50;
  const late = near.length > 0 ? LATE_BY_FAULT_MS : waitsInLine ? LATE_IN_LINE_MS : LATE_MS;
  return { earliestMs: dueMs - early, latestMs: dueMs + late };
}
