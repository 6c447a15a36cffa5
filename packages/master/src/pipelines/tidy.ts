/** Retention of runs: what is beyond the pipeline's count or too old goes, with its plan. Runs that are not over stay. */
import { fromIso } from "fleetcron-shared/base/clock";
import { parseDuration } from "fleetcron-shared/base/duration";
import { idTimeMs } from "fleetcron-shared/base/ids";
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { PLAN_DEFAULTS } from "fleetcron-shared/model/pipeline/plan";
import { isRunEnd, type RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { type Op, prefixEnd, unchanged } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import { type LeaderDeps, leaderTxn } from "../leader/leader-deps.ts";
import { scan } from "../ops/scan.ts";

/** Deletes are few a time: each is two keys and a compare. */
const A_PASS = 40;

export async function tidyRuns(
  deps: Pick<LeaderDeps, "kv" | "keys" | "clock" | "term">,
  of: { readonly group: string; readonly pipeline: string },
  retain: PipelineSpec["retain"],
): Promise<void> {
  const { kv, keys, clock } = deps;
  const count = retain?.count ?? PLAN_DEFAULTS.retain.count;
  const ageMs = (retain?.age === undefined ? undefined : parseDuration(retain.age)) ?? PLAN_DEFAULTS.retain.ageMs;
  const prefix = keys.runsOf(of.group, of.pipeline);
  const newest = await kv.range({ start: prefix, end: prefixEnd(prefix), reverse: true, limit: count + 1, keysOnly: true });
  const oldest = newest.kvs.at(-1)?.key;
  const tooOld = (id: string) => (idTimeMs(id) ?? Number.POSITIVE_INFINITY) < clock.now() - ageMs;
  if (oldest === undefined || (newest.kvs.length <= count && !tooOld(oldest.slice(prefix.length)))) return;
  const end = newest.kvs.length > count ? `${oldest}\0` : prefixEnd(prefix);
  let left = A_PASS;
  for await (const entry of scan(kv, { start: prefix, end })) {
    const id = entry.key.slice(prefix.length);
    const run = tryDecode<RunDocument>(entry.key, entry.value);
    const isOver =
      run === undefined || (isRunEnd(run.state) && (newest.kvs.length > count || (fromIso(run.endedAt ?? "") ?? 0) < clock.now() - ageMs));
    if (!isOver) continue;
    const then: Op[] = [
      { op: "delete", key: entry.key },
      { op: "delete", key: keys.plan(of.group, of.pipeline, id) },
    ];
    await leaderTxn(deps, { if: [unchanged(entry.key, entry.modRevision)], then });
    left -= 1;
    if (left === 0) return;
  }
}
