/**
 * Pipelines that follow others: the end of a run is written down, with who follows it, in the transaction that ends it; the leader makes their runs one by
 * one, each in the transaction that strikes it off. So each follows once, whoever leads. Runs that start each other come to an end after `MAX_CHAIN`.
 */
import { fromIso, toIso } from "fleetcron-shared/base/clock";
import { AppError, asAppError, isCode } from "fleetcron-shared/base/errors";
import { stableId } from "fleetcron-shared/base/stable-id";
import { namesFor, type Values } from "fleetcron-shared/model/pipeline/params";
import { isRunEnd, type RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { valuesOf } from "fleetcron-shared/model/pipeline/trigger-check";
import { TRIGGER_DEFAULTS, triggerLabel } from "fleetcron-shared/model/pipeline/trigger-spec";
import { type Op, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { openView } from "fleetcron-shared/store/view";
import { decode, encode } from "fleetcron-shared/wire/codec";
import { type JobRef, toKey } from "../job-ref.ts";
import { type LeaderDeps, type LeaderService, leaderStep } from "../leader/leader-deps.ts";
import { startLoop } from "../leader/loop.ts";
import { findRun } from "../ops/find-run.ts";
import { runPipeline } from "../ops/run-pipeline.ts";
import type { RunChange } from "../pipelines/advance-txn.ts";
import { missedOps } from "./missed.ts";

/** The value of `ends/<run>/<attempt>`: a run that has ended, and the triggers for which that is still to be done. */
type RunEnd = {
  readonly v: 1;
  readonly group: string;
  readonly pipeline: string;
  readonly run: string;
  readonly attempt: number;
  readonly state: string;
  readonly at: string;
  /** Of the runs that follow. */
  readonly chain: number;
  readonly to: readonly { readonly group: string; readonly id: string; readonly trigger: string }[];
};

/** So many runs may follow each other; pipelines that start each other in a circle come to an end there. */
export const MAX_CHAIN = 10;
const MAX_FOLLOWERS = 200;

/** The end of a run, for the transaction that ends it. */
export function endOps({ keys, views, clock }: Pick<LeaderDeps, "keys" | "views" | "clock">, { before, after }: RunChange): Op[] {
  const { group, pipeline, id: run, attempt, state } = after;
  if (!isRunEnd(state) || isRunEnd(before.state)) return [];
  const to = [...views.pipelines.entries()].flatMap(([, { stored }]) =>
    (stored.spec.triggers ?? []).flatMap((trigger) => {
      const on: readonly string[] = trigger.pipeline?.on ?? TRIGGER_DEFAULTS.on;
      const follows = trigger.pipeline?.after === `${group}/${pipeline}` && on.includes(state) && trigger.pause !== true;
      return follows ? [{ group: stored.group, id: stored.id, trigger: trigger.name }] : [];
    }),
  );
  if (to.length === 0) return [];
  const chain = (after.chain ?? 0) + 1;
  const value: RunEnd = { v: 1, group, pipeline, run, attempt, state, at: toIso(clock.now()), chain, to: to.slice(0, MAX_FOLLOWERS) };
  return [{ op: "put", key: keys.end(run, attempt), value: encode(value) }];
}

type Entry = { readonly end: RunEnd; readonly revision: Revision };

export function startChains(deps: LeaderDeps): LeaderService {
  const { kv, keys, term } = deps;
  const log = deps.log.child({ service: "chains" });
  const ends = openView<Entry>(deps, {
    prefix: keys.ends,
    decode: (entry) => ({ end: decode<RunEnd>(entry.key, entry.value), revision: entry.modRevision }),
  });
  ends.synced.catch(() => {});

  async function round(): Promise<void> {
    await ends.synced;
    for (const [key, first] of ends.entries()) {
      let entry: Entry | undefined = first;
      while (entry !== undefined) {
        if (!term.trusted()) return;
        await follow(key, entry);
        const now = await kv.get(key);
        entry = now === undefined ? undefined : { end: decode<RunEnd>(key, now.value), revision: now.modRevision };
      }
    }
  }

  /** Does the first of what is to be done. */
  async function follow(key: string, { end, revision }: Entry): Promise<void> {
    const [to, ...rest] = end.to;
    const left: Op = rest.length === 0 ? { op: "delete", key } : { op: "put", key, value: encode<RunEnd>({ ...end, to: rest }) };
    const strike = async (also: readonly Op[]) => {
      const result = await leaderStep(deps, "follow", { if: [unchanged(key, revision)], then: [left, ...also] });
      // Done already: an earlier transaction whose answer was lost.
      if (!result.succeeded) log.debug({ key }, "end of a run is not as it was read");
    };
    const entry = to === undefined ? undefined : deps.views.pipelines.get(keys.pipeline(to.group, to.id));
    const trigger = entry?.stored.spec.triggers?.find(({ name, pipeline }) => name === to?.trigger && pipeline !== undefined);
    if (to === undefined || entry === undefined || trigger === undefined || trigger.pause === true) return strike([]);
    const from = `${end.group}/${end.pipeline}`;
    const run = stableId(fromIso(end.at) ?? 0, "end", end.run, String(end.attempt), toKey(to), to.trigger);
    const giveUp = (why: string) => {
      log.warn({ pipeline: toKey(to), trigger: to.trigger, after: end.run, why }, "trigger could not start a run");
      return strike(missedOps(deps, entry.stored, { id: run, trigger, why, data: { after: `${from} ${end.run}` } }));
    };
    if (end.chain > MAX_CHAIN) return giveUp(`${MAX_CHAIN} runs have followed each other; this one, after ${from}, would be the next`);
    const values = valuesOf(trigger, { ...(await factsOf(end)), run: end.run, pipeline: from, state: end.state });
    const also = { if: [term.guard, unchanged(key, revision)], then: [left] };
    const wish = {
      ...values,
      run,
      trigger: triggerLabel(trigger),
      by: `${from} ${end.run}`,
      chain: end.chain,
      step: "follow",
      also,
    } as const;
    try {
      await runPipeline(deps, to, wish);
    } catch (thrown) {
      if (!isCode(thrown, "input/invalid", "input/too-large", "pipeline/not-found")) throw thrown;
      await giveUp(asAppError(thrown).message);
    }
  }

  /** The params of the run that has ended, and what its tasks have put out. */
  async function factsOf({ group, pipeline, run }: RunEnd): Promise<Values> {
    try {
      const found = await findRun(deps, run, toKey({ group, id: pipeline } satisfies JobRef));
      const doc: RunDocument = found.run;
      const outputs = Object.assign({}, ...found.plan.tasks.map(({ name }) => doc.tasks[name]?.outputs ?? {})) as Values;
      return namesFor({ pipeline: found.plan.params, run: found.plan.values, outputs });
    } catch (error) {
      if (error instanceof AppError && error.code === "pipeline/no-run") return {};
      throw error;
    }
  }

  const loop = startLoop({ ...deps, log }, term.ended, round);
  const unsubscribe = ends.onChange(() => loop.kick());
  loop.kick();
  return {
    async stop() {
      unsubscribe();
      await Promise.all([loop.stop(), ends.close()]);
    },
  };
}
