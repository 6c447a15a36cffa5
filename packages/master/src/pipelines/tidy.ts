/**
 * Retention of runs: what is beyond the pipeline's count or too old goes, with its plan. Runs that are not over stay. No run waits for it: pipelines are
 * tidied one after the other, each once however many of its runs have ended meanwhile; now and then all that have runs are visited, also those that run no
 * more or are deleted. Etcd away: it is done later.
 */
import { fromIso } from "fleetcron-shared/base/clock";
import { parseDuration } from "fleetcron-shared/base/duration";
import { idTimeMs } from "fleetcron-shared/base/ids";
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { PLAN_DEFAULTS } from "fleetcron-shared/model/pipeline/plan";
import { isRunEnd, type RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { type Op, prefixEnd, prefixRange, unchanged } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import { type LeaderDeps, type LeaderService, leaderStep } from "../leader/leader-deps.ts";
import { startLoop } from "../leader/loop.ts";
import { scanPrefix } from "../ops/scan.ts";

/** Runs that are deleted before it is the next pipeline's turn. */
const A_PASS = 40;
/** From one visit of all pipelines to the next. */
export const TOUR_MS = 600_000;
/** From one look at runs that wait for the history to the next. */
const HELD_MS = 2000;

type Pipeline = { readonly group: string; readonly pipeline: string };

export type Tidier = LeaderService & {
  /** A run of the pipeline has ended. */
  kick(of: Pipeline): void;
};

export function startTidier(deps: LeaderDeps): Tidier {
  const { keys, kv, clock, views } = deps;
  const due = new Map<string, Pipeline>();
  let nextTourMs = clock.mono();
  let disarm = () => {};
  /** Pipelines with runs that must not go before the history has them. */
  const held = new Map<string, Pipeline>();
  let disarmHeld = () => {};

  function lookAgain(): void {
    disarmHeld();
    disarmHeld = clock.after(HELD_MS, () => {
      for (const [key, of] of held) due.set(key, of);
      held.clear();
      loop.kick();
    });
  }

  /** Jumps from pipeline to pipeline through the runs. */
  async function visitAll(signal: AbortSignal): Promise<void> {
    if (clock.mono() < nextTourMs) return;
    const end = prefixEnd(keys.runs);
    for (let at = keys.runs; !signal.aborted; ) {
      const { kvs } = await kv.range({ start: at, end, limit: 1, keysOnly: true });
      const [, group, pipeline] = keys.parts(kvs[0]?.key ?? "");
      if (group === undefined || pipeline === undefined) break;
      due.set(keys.pipeline(group, pipeline), { group, pipeline });
      at = prefixEnd(keys.runsOf(group, pipeline));
    }
    nextTourMs = clock.mono() + TOUR_MS;
    disarm();
    disarm = clock.after(TOUR_MS, () => loop.kick());
  }

  async function round(signal: AbortSignal): Promise<void> {
    await Promise.all([visitAll(signal), views.pipelines.synced]);
    for (const [key, of] of due) {
      if (signal.aborted) return;
      const retain = views.pipelines.get(key)?.stored.spec.retain;
      due.delete(key);
      const left = await tidyRuns(deps, of, retain).catch((error: unknown) => {
        due.set(key, of);
        throw error;
      });
      if (left === "more") due.set(key, of);
      if (left === "held") held.set(key, of);
    }
    if (held.size > 0) lookAgain();
  }

  const loop = startLoop(deps, deps.term.ended, round);
  loop.kick();
  return {
    kick(of) {
      due.set(keys.pipeline(of.group, of.pipeline), of);
      loop.kick();
    },
    async stop() {
      await loop.stop();
      disarm();
      disarmHeld();
    },
  };
}

/** Whether there may be more to delete: at once, or when the history has it. */
async function tidyRuns(
  deps: Pick<LeaderDeps, "kv" | "keys" | "clock" | "term" | "passPoint" | "hold">,
  of: Pipeline,
  retain: PipelineSpec["retain"],
): Promise<"none" | "more" | "held"> {
  const { kv, keys, clock } = deps;
  const count = retain?.count ?? PLAN_DEFAULTS.retain.count;
  const ageMs = (retain?.age === undefined ? undefined : parseDuration(retain.age)) ?? PLAN_DEFAULTS.retain.ageMs;
  const before = clock.now() - ageMs;
  const prefix = keys.runsOf(of.group, of.pipeline);
  const idOf = (key: string) => key.slice(prefix.length);
  const isOld = (key: string) => (idTimeMs(idOf(key)) ?? Number.POSITIVE_INFINITY) < before;
  const first = await kv.range({ ...prefixRange(prefix), limit: 1, keysOnly: true });
  let beyond = first.count - count;
  if (beyond <= 0 && !first.kvs.some(({ key }) => isOld(key))) return "none";
  let spare = beyond - (deps.hold?.maxRuns ?? 0);
  let deleted = 0;
  let left: "none" | "held" = "none";
  for await (const entry of scanPrefix(kv, prefix)) {
    const isBeyond = beyond > 0;
    beyond -= 1;
    if (!isBeyond && !isOld(entry.key)) return left;
    const run = tryDecode<RunDocument>(entry.key, entry.value);
    const isOver = run === undefined || (isRunEnd(run.state) && (isBeyond || (fromIso(run.endedAt ?? "") ?? 0) < before));
    if (!isOver) continue;
    if (deps.hold?.isArchived(entry.modRevision) === false) {
      // What is not in the history yet waits, as far as there is room; the oldest go first.
      if (spare <= 0) {
        left = "held";
        continue;
      }
      spare -= 1;
      deps.hold.letGoRun(run?.id ?? entry.key);
    }
    const then: Op[] = [
      { op: "delete", key: entry.key },
      { op: "delete", key: keys.plan(of.group, of.pipeline, idOf(entry.key)) },
    ];
    await leaderStep(deps, "tidy", { if: [unchanged(entry.key, entry.modRevision)], then });
    deleted += 1;
    if (deleted === A_PASS) return "more";
  }
  return left;
}
