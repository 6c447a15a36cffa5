/** The judgement over a run: the checker of packages/shared/src/check over the evidence, and whether each verdict that speaks of trouble has its fault. */
import { type EpochMs, systemClock, toIso } from "fleetcron-shared/base/clock";
import { check } from "fleetcron-shared/check/check";
import type { History, PipelineHistory } from "fleetcron-shared/check/history";
import type { Cast } from "../cast.ts";
import type { ChaosFleet } from "../fleet.ts";
import { readEvidence, taskEvidence, type Witnessed } from "./evidence.ts";
import { type Facts, unexplained } from "./explain.ts";
import { type Overlap, overlapsOf, trueBegins } from "./overlaps.ts";
import { pipelineHistory } from "./pipelines.ts";
import { readRecords, type Told } from "./records.ts";
import { type TargetFacts, targetsOf } from "./targets.ts";

export type Judgement = {
  readonly counts: Readonly<Record<string, number>>;
  readonly findings: readonly string[];
  readonly overlaps: readonly Overlap[];
  readonly outcomes: Readonly<Record<string, number>>;
};

/** A record and its run are compared when both had time to arrive. */
const FRESH_MS = 3000;
/** The longest that a command takes, with the time to end it. */
const LONGEST_MS = 15_000;

/** All that is judged, as plain data: kept with the evidence, so that it can be judged again. */
export type Gathered = {
  readonly cast: Cast;
  readonly facts: TargetFacts;
  readonly readMs: EpochMs;
  readonly runs: readonly Witnessed[];
  readonly told: readonly Told[];
  readonly pipelines: PipelineHistory;
};

export async function gather(fleet: ChaosFleet, facts: TargetFacts): Promise<Gathered> {
  const readMs = systemClock.now();
  const runs = readEvidence(fleet.evidence);
  const told = await readRecords(fleet.kv, fleet.keys);
  return {
    cast: fleet.cast,
    facts,
    readMs,
    runs,
    told,
    pipelines: await pipelineHistory(fleet, taskEvidence(runs)),
  };
}

/** Pure. */
export function judge({ cast, facts, readMs, runs: witnessed, told, pipelines }: Gathered): Judgement {
  const runs = trueBegins(witnessed, told, facts.stretches);
  const { specs, deeds } = facts;
  const targets = targetsOf(facts);
  const { fromMs, untilMs } = facts;
  const isJudged = (dueMs: number | undefined, beginMs: number) =>
    dueMs === undefined ? beginMs >= fromMs && beginMs < readMs - 20_000 : dueMs >= fromMs && dueMs < untilMs;
  const endsLate = new Set(
    runs
      .filter((run) => (run.endMs === undefined ? run.beginMs > readMs - LONGEST_MS : run.endMs > readMs - FRESH_MS))
      .map(({ execution }) => execution),
  );
  const judgedRuns = runs.filter((run) => isJudged(run.dueMs, run.beginMs) && !endsLate.has(run.execution));
  const judgedTold = told.filter((one) => isJudged(one.dueMs, one.beginMs ?? one.toldMs) && !endsLate.has(one.execution));
  const exclusive = new Set(Object.entries(specs).flatMap(([key, { kind }]) => (kind === "alone" ? [key] : [])));
  const history: History = {
    targets: targets.filter(
      (target) => !runs.some((run) => endsLate.has(run.execution) && run.job === target.job && run.dueMs === target.dueMs),
    ),
    runs: judgedRuns,
    verdicts: judgedTold,
    exclusive,
    span: { fromMs, untilMs },
    pipelines,
  };
  const about: Facts = { cast, specs, stretches: facts.stretches, deeds, runs };
  const overlaps = overlapsOf(
    runs.filter(({ job }) => exclusive.has(job)),
    facts.stretches,
  );
  const checked = check(history).filter(({ kind }) => kind !== "overlap");
  const unjustified = judgedTold.flatMap((one) => {
    const why = unexplained(about, one);
    return why === undefined
      ? []
      : [
          `unexplained: ${one.job} of ${one.dueMs === undefined ? "an order" : toIso(one.dueMs)} on ${one.node} (${one.id}): ${why}${one.detail === "" ? "" : ` (${one.detail})`}`,
        ];
  });
  const findings = [
    ...checked.map(({ kind, text }) => `${kind}: ${text}`),
    ...overlaps.filter(({ cause }) => cause === undefined).map((one) => `overlap: ${describe(one)}`),
    ...unjustified,
  ];
  return {
    counts: {
      targets: targets.length,
      runs: judgedRuns.length,
      verdicts: judgedTold.length,
      deeds: deeds.length,
      failedDeeds: deeds.filter(({ ok }) => !ok).length,
    },
    findings,
    overlaps,
    outcomes: countBy(judgedTold, (one) => (one.outcome.startsWith("exit") ? "exit" : one.outcome)),
  };
}

export function describe({ job, executions, nodes, atMs, ms, cause }: Overlap): string {
  return `${job}: ${executions[0]} on ${nodes[0]} and ${executions[1]} on ${nodes[1]} at ${toIso(atMs)} for ${ms} ms${cause === undefined ? "" : ` (${cause})`}`;
}

function countBy(told: readonly Told[], of: (one: Told) => string): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(told, of)].map(([word, list]) => [word, list.length]).sort());
}
