/**
 * Brings `dispatch/<node>/<group>/<job>` to what jobs and nodes ask for. Level-triggered: it compares what should be with what is and writes
 * only differences, each under the term and the job's revision as read; a half-done change is completed by whoever leads next.
 * Etcd away: nothing is written; the comparison is made again when it answers.
 */

import type { Dispatch } from "fleetcron-shared/model/facts";
import { effectiveLabels } from "fleetcron-shared/model/facts";
import { type MirrorEvent, openMirror } from "fleetcron-shared/store/mirror";
import { tryDecode } from "fleetcron-shared/wire/codec";
import { fromKey, type JobRef } from "../job-ref.ts";
import { createTurns } from "../ops/turns.ts";
import { createTargetIndex } from "./desired.ts";
import { type ActualDispatch, type Batch, diffJob, type JobDiff, packBatches } from "./dispatch-diff.ts";
import { type LeaderDeps, type LeaderService, leaderTxn } from "./leader-deps.ts";
import { startLoop } from "./loop.ts";

/** Changes are written when so many have been found, so that memory stays small. */
const OPS_A_ROUND = 10_000;
const IN_FLIGHT = 4;
/** A job was changed while its dispatches were written: its new form is on its way to us. */
const CONFLICT_PAUSE_MS = 10;

export function startDispatcher(deps: LeaderDeps): LeaderService {
  const { keys, clock, term, views } = deps;
  const log = deps.log.child({ service: "dispatcher" });
  const index = createTargetIndex();
  const actual = new Map<string, Map<string, ActualDispatch>>();
  /** Equal rule texts are held once. */
  const texts = new Map<string, string>();
  const dirty = new Map<string, JobRef>();
  /** Since when something is to be written. */
  let dirtySinceMs: number | undefined;

  function touch(ref: JobRef): void {
    dirty.set(`${ref.group}/${ref.id}`, ref);
    dirtySinceMs ??= clock.mono();
    loop.kick();
  }

  function follow(events: readonly MirrorEvent[]): void {
    for (const event of events) {
      const [, node, group, id] = keys.parts(event.type === "put" ? event.kv.key : event.key);
      if (node === undefined || group === undefined || id === undefined) continue;
      const job = `${group}/${id}`;
      const nodes = actual.get(job) ?? new Map<string, ActualDispatch>();
      if (event.type === "put") {
        const value = tryDecode<Dispatch>(event.kv.key, event.kv.value);
        nodes.set(node, { revision: value?.revision ?? 0, rules: intern(value === undefined ? "" : JSON.stringify(value.rules)) });
        actual.set(job, nodes);
      } else if (nodes.delete(node) && nodes.size === 0) actual.delete(job);
      touch({ group, id });
    }
  }

  function intern(text: string): string {
    const known = texts.get(text);
    if (known !== undefined) return known;
    if (texts.size > 50_000) texts.clear();
    texts.set(text, text);
    return text;
  }

  /** Compares a round of dirty jobs; other work gets its turn between slices. */
  async function compare(signal: AbortSignal): Promise<[string, JobDiff][]> {
    const diffs: [string, JobDiff][] = [];
    const turn = createTurns(clock);
    let ops = 0;
    for (const [job, ref] of dirty) {
      dirty.delete(job);
      const diff = diffJob(keys, ref, views.jobs.get(keys.job(ref.group, ref.id)), index.desired(job), actual.get(job));
      if (diff !== undefined) {
        diffs.push([job, diff]);
        ops += diff.ops.length;
      }
      if (ops >= OPS_A_ROUND || signal.aborted) break;
      await turn();
    }
    return diffs;
  }

  /** Writes batches, a few at a time; whatever is not surely written is dirty again. Resolves with the last revision, for the echo. */
  async function write(batches: readonly Batch[], refs: ReadonlyMap<string, JobRef>): Promise<number> {
    let revision = 0;
    let next = 0;
    let failure: { error: unknown } | undefined;
    const again = (batch: Batch) => {
      for (const job of batch.jobs) {
        const ref = refs.get(job);
        if (ref !== undefined) dirty.set(job, ref);
      }
    };
    const worker = async () => {
      for (let batch = batches[next++]; batch !== undefined; batch = batches[next++]) {
        try {
          if (failure !== undefined) throw failure.error;
          const result = await leaderTxn(deps, batch);
          if (result.succeeded) revision = Math.max(revision, result.revision);
          else {
            again(batch);
            await clock.sleep(CONFLICT_PAUSE_MS);
          }
        } catch (error) {
          failure ??= { error };
          again(batch);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, batches.length) }, worker));
    if (failure !== undefined) throw failure.error;
    return revision;
  }

  async function round(signal: AbortSignal): Promise<void> {
    if (!synced) return;
    const diffs = await compare(signal);
    if (diffs.length > 0) {
      const refs = new Map(diffs.map(([job]) => [job, fromKey(job)] as const));
      const batches = packBatches(diffs);
      const revision = await write(batches, refs);
      if (dirtySinceMs !== undefined) deps.observe?.dispatched(clock.mono() - dirtySinceMs);
      log.debug({ jobs: diffs.length, batches: batches.length, revision }, "dispatches written");
      if (dirty.size === 0) dirtySinceMs = undefined;
      if (revision > 0) await mirror.reached(revision);
    } else if (dirty.size === 0) dirtySinceMs = undefined;
    if (dirty.size > 0) loop.kick();
  }

  let synced = false;
  const loop = startLoop({ ...deps, log }, term.ended, round);
  for (const [, { job }] of views.jobs.entries()) index.putJob(job);
  for (const [, { info, labels }] of views.nodes.entries()) index.putNode(info.id, { id: info.id, labels });
  const unsubscribe = [
    views.jobs.onChange((changes) => {
      for (const { key, value } of changes) {
        const ref = jobOfKey(key);
        if (value === undefined) index.removeJob(`${ref.group}/${ref.id}`);
        else index.putJob(value.job);
        touch(ref);
      }
    }),
    views.nodes.onChange((changes) => {
      for (const { key, value } of changes) {
        const id = keys.parts(key)[1] ?? "";
        const node = value === undefined ? undefined : { id, labels: effectiveLabels(value.info) };
        for (const job of index.putNode(id, node)) touch(fromKey(job));
      }
    }),
  ];
  const jobOfKey = (key: string): JobRef => {
    const [, group = "", id = ""] = keys.parts(key);
    return { group, id };
  };
  const mirror = openMirror(deps, { prefix: keys.dispatches, onEvents: follow });
  mirror.synced.then(
    () => {
      synced = true;
      for (const [, { stored }] of views.jobs.entries()) touch(stored);
    },
    () => {},
  );
  return {
    async stop() {
      for (const end of unsubscribe) end();
      await mirror.close();
      await loop.stop();
    },
  };
}
