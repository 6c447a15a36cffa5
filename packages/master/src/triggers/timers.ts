/**
 * The timers of pipelines, fired by the leader. How far each has come is a key of its own, moved in the transaction that makes the run, under the term:
 * a tick is one run or none, whoever led when it was due. Etcd away, or nobody leads: ticks pass, and the trigger's misfire policy says what becomes of them.
 */
import { createHash } from "node:crypto";
import { fromIso, toIso } from "fleetcron-shared/base/clock";
import { AppError, asAppError, isCode } from "fleetcron-shared/base/errors";
import { stableId } from "fleetcron-shared/base/stable-id";
import { valuesOf } from "fleetcron-shared/model/pipeline/trigger-check";
import { type TimerTrigger, type TriggerSpec, triggerLabel } from "fleetcron-shared/model/pipeline/trigger-spec";
import { dueTicks, type TriggerTimes, timesOf } from "fleetcron-shared/model/pipeline/trigger-timer";
import { absent, type Compare, type Op, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { openView } from "fleetcron-shared/store/view";
import { decode, encode } from "fleetcron-shared/wire/codec";
import { toKey } from "../job-ref.ts";
import { type LeaderDeps, type LeaderService, leaderStep } from "../leader/leader-deps.ts";
import { startLoop } from "../leader/loop.ts";
import { runPipeline } from "../ops/run-pipeline.ts";
import type { PipelineEntry } from "../views.ts";
import { missedOps } from "./missed.ts";

/** The value of `ticks/<group>/<pipeline>/<trigger>`: every tick up to `at` is dealt with. `rule`: of which timer. */
type Cursor = { readonly v: 1; readonly rule: string; readonly at: string };
type Held = { readonly cursor: Cursor; readonly revision: Revision };
type Timer = {
  readonly entry: PipelineEntry;
  readonly key: string;
  readonly trigger: TriggerSpec;
  readonly rule: TimerTrigger;
  readonly hash: string;
  readonly times: TriggerTimes;
};

/** The wall clock may be set meanwhile: looked at anew at least so often. */
const LOOK_MS = 30_000;

export function startTimers(deps: LeaderDeps, options: { readonly timezone: string }): LeaderService {
  const { keys, clock, views, term, kv } = deps;
  const log = deps.log.child({ service: "timers" });
  const cursors = openView<Held>(deps, {
    prefix: keys.ticks,
    decode: (kv) => ({ cursor: decode<Cursor>(kv.key, kv.value), revision: kv.modRevision }),
  });
  cursors.synced.catch(() => {});
  /** Compiled once for each revision of a pipeline. */
  const compiled = new Map<string, { readonly revision: Revision; readonly timers: readonly Timer[] }>();
  let disarm = () => {};

  function timersOf(pipelineKey: string, entry: PipelineEntry): readonly Timer[] {
    const known = compiled.get(pipelineKey);
    if (known?.revision === entry.revision) return known.timers;
    const { group, id, spec, createdAt } = entry.stored;
    const timers = (spec.triggers ?? []).flatMap((trigger): Timer[] => {
      const { rule } = trigger;
      if (rule === undefined) return [];
      const hash = createHash("sha256").update(JSON.stringify(rule)).digest("hex").slice(0, 16);
      const at = { seed: `${group}/${id}`, anchorMs: fromIso(createdAt) ?? 0, timezone: options.timezone };
      return [{ entry, key: keys.tick(group, id, trigger.name), trigger, rule, hash, times: timesOf(rule, at) }];
    });
    compiled.set(pipelineKey, { revision: entry.revision, timers });
    return timers;
  }

  async function round(): Promise<void> {
    await Promise.all([cursors.synced, views.pipelines.synced]);
    disarm();
    const all = [...views.pipelines.entries()].flatMap(([key, entry]) => timersOf(key, entry));
    let next = clock.now() + LOOK_MS;
    let failure: unknown;
    for (const timer of all) {
      if (term.ended.aborted) return;
      try {
        next = Math.min(next, (await advance(timer)) ?? next);
      } catch (error) {
        // The others are not to wait for this one.
        failure = error;
      }
    }
    await forgetOthers(new Set(all.map(({ key }) => key)));
    if (failure !== undefined) throw failure;
    disarm = clock.after(Math.max(1, next - clock.now()), () => loop.kick());
  }

  /** Deals with what is due; gives the next tick. */
  async function advance(timer: Timer): Promise<number | undefined> {
    const { key, hash, rule, times, trigger } = timer;
    let held = cursors.get(key);
    if (held?.cursor.rule !== hash) held = await move(timer, held, timer.entry.stored.updatedAt, []);
    const due = dueTicks(rule, times, fromIso(held.cursor.at) ?? 0, clock.now());
    if (due === undefined) return times.nextAfter(clock.now());
    for (const tick of trigger.pause === true ? [] : due.fire) held = await fire(timer, held, toIso(tick));
    const until = toIso(due.untilMs);
    if (held.cursor.at < until || due.missed !== undefined) {
      const isMissed = due.missed !== undefined && trigger.pause !== true;
      const told = isMissed ? missed(timer, toIso(due.missed), "no master led at that time") : [];
      held = await move(timer, held, until, told);
    }
    await cursors.reached(held.revision);
    return times.nextAfter(clock.now());
  }

  /** One run for the tick, in the transaction that moves the cursor. */
  async function fire(timer: Timer, held: Held, due: string): Promise<Held> {
    const { entry, key, trigger, hash } = timer;
    const { group, id } = entry.stored;
    if (!term.trusted()) throw new AppError("etcd/lease-gone", "this master leads no longer");
    const run = stableId(fromIso(due) ?? 0, "tick", group, id, trigger.name, due);
    const cursor: Cursor = { v: 1, rule: hash, at: due };
    const also = { if: [term.guard, unchanged(key, held.revision)], then: [{ op: "put", key, value: encode(cursor) }] } as const;
    try {
      await runPipeline(
        deps,
        { group, id },
        { ...valuesOf(trigger, { due }), run, trigger: triggerLabel(trigger), by: "timer", step: "fire", also },
      );
    } catch (thrown) {
      if (!isCode(thrown, "input/invalid", "input/too-large")) throw thrown;
      const err = asAppError(thrown);
      log.warn({ pipeline: toKey(entry.stored), trigger: trigger.name, due, err, code: err.code }, "trigger could not start a run");
      return move(timer, held, due, missed(timer, due, err.message));
    }
    const now = await read(key);
    if (now === undefined) throw new AppError("write/conflict", "the trigger was removed meanwhile");
    // A run of that tick from before the trigger was removed and came again.
    return now.cursor.at < due ? move(timer, now, due, []) : now;
  }

  const missed = ({ entry, trigger }: Timer, due: string, why: string) =>
    missedOps(deps, entry.stored, {
      id: stableId(fromIso(due) ?? 0, "tick", toKey(entry.stored), trigger.name, due),
      trigger,
      why,
      data: { dueAt: due },
    });

  async function read(key: string): Promise<Held | undefined> {
    const entry = await kv.get(key);
    return entry === undefined ? undefined : { cursor: decode<Cursor>(key, entry.value), revision: entry.modRevision };
  }

  async function move({ key, hash }: Timer, held: Held | undefined, at: string, also: readonly Op[]): Promise<Held> {
    const cursor: Cursor = { v: 1, rule: hash, at };
    const compares: Compare[] = [held === undefined ? absent(key) : unchanged(key, held.revision)];
    const result = await leaderStep(deps, "moveTimer", { if: compares, then: [{ op: "put", key, value: encode(cursor) }, ...also] });
    if (!result.succeeded) throw new AppError("write/conflict", `${key} is not as it was read`);
    return { cursor, revision: result.revision };
  }

  /** Cursors of triggers that are gone: one that comes again begins anew. */
  async function forgetOthers(used: ReadonlySet<string>): Promise<void> {
    for (const [key, { revision }] of cursors.entries()) {
      if (used.has(key)) continue;
      const [, group = "", id = ""] = keys.parts(key);
      const pipeline = keys.pipeline(group, id);
      const entry = views.pipelines.get(pipeline);
      const asSeen = entry === undefined ? absent(pipeline) : unchanged(pipeline, entry.revision);
      await leaderStep(deps, "moveTimer", { if: [asSeen, unchanged(key, revision)], then: [{ op: "delete", key }] });
    }
    for (const key of compiled.keys()) if (views.pipelines.get(key) === undefined) compiled.delete(key);
  }

  const loop = startLoop({ ...deps, log }, term.ended, round);
  const unsubscribe = views.pipelines.onChange(() => loop.kick());
  loop.kick();
  return {
    async stop() {
      unsubscribe();
      disarm();
      await Promise.all([loop.stop(), cursors.close()]);
      disarm();
    },
  };
}
