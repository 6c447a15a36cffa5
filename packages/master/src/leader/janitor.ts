/**
 * Deletes records beyond their job's `retain` (count, age), and what deleted jobs have left once it is too old. Runs off the hot path: a pass
 * each minute looks at the jobs that have filed something since, and at a few others in turn. Each deletion is one range delete under the
 * term. Etcd away: the next pass does it.
 */
import { firstIdAt } from "fleetcron-shared/base/ids";
import { JOB_DEFAULTS } from "fleetcron-shared/model/job-compile";
import type { Op } from "fleetcron-shared/store/kv";
import { absent, MAX_TXN_OPS, prefixEnd, unchanged } from "fleetcron-shared/store/kv";
import type { Hold } from "../history/hold.ts";
import { fromKey, type JobRef, toKey } from "../job-ref.ts";
import { firstOf } from "./first-of.ts";
import { type LeaderDeps, type LeaderService, leaderTxn } from "./leader-deps.ts";
import { startLoop } from "./loop.ts";

export type JanitorOptions = { readonly everyMs: number; readonly busyJobsAPass: number; readonly otherJobsAPass: number };
export const JANITOR_DEFAULTS: JanitorOptions = { everyMs: 60_000, busyJobsAPass: 1000, otherJobsAPass: 200 };

/** Of one job in one pass, and of these in one transaction; one compare is the term's. */
const HELD_READ = 2000;
const DELETES_AT_ONCE = MAX_TXN_OPS - 1;

export function startJanitor(deps: LeaderDeps, options: JanitorOptions = JANITOR_DEFAULTS): LeaderService {
  const { kv, keys, clock, views, term } = deps;
  const log = deps.log.child({ service: "janitor" });
  /** Jobs that have filed a record since they were last looked at. */
  const busy = new Set<string>();
  /** Where the tour through everybody's records stands. */
  let tour = keys.records;
  let disarm = () => {};

  async function round(signal: AbortSignal): Promise<void> {
    disarm();
    disarm = clock.after(options.everyMs, () => loop.kick());
    const jobs = firstOf(busy, options.busyJobsAPass);
    for (const job of jobs) {
      if (signal.aborted) return;
      await tidy(fromKey(job));
      busy.delete(job);
    }
    await visitOthers(signal);
  }

  /** Jumps from job to job through the records, so that it also finds those of deleted jobs, at one small read each. */
  async function visitOthers(signal: AbortSignal): Promise<void> {
    for (let visited = 0; visited < options.otherJobsAPass && !signal.aborted; visited++) {
      const { kvs } = await kv.range({ start: tour, end: prefixEnd(keys.records), limit: 1, keysOnly: true });
      const [, group, id] = keys.parts(kvs[0]?.key ?? "");
      if (group === undefined || id === undefined) {
        tour = keys.records;
        await removeOrphanedStats(signal);
        return;
      }
      await tidy({ group, id });
      tour = prefixEnd(keys.recordsOf(group, id));
    }
  }

  async function tidy(ref: JobRef): Promise<void> {
    const job = views.jobs.get(keys.job(ref.group, ref.id))?.job;
    const retain = job?.retain ?? JOB_DEFAULTS.retain;
    const prefix = keys.recordsOf(ref.group, ref.id);
    const { kvs } = await kv.range({ start: prefix, end: prefixEnd(prefix), reverse: true, limit: retain.count + 1, keysOnly: true });
    const ids = kvs.map((entry) => entry.key.slice(prefix.length));
    const from = deleteBefore(ids, retain, clock.now());
    if (from === undefined) return void deps.hold?.holdRecords(toKey(ref), 0);
    const deleted = deps.hold === undefined ? await deleteBelow(prefix, from) : await deleteArchived(deps.hold, ref, prefix, from);
    if (deleted > 0) log.debug({ job: toKey(ref), deleted }, "old records deleted");
  }

  async function deleteBelow(prefix: string, from: string): Promise<number> {
    const { results } = await leaderTxn(deps, { then: [{ op: "deleteRange", key: prefix, end: prefix + from }] });
    return results[0]?.op === "deleteRange" ? results[0].deleted : 0;
  }

  /** Record by record, each as it was read: one that is put meanwhile is not in the history yet. The oldest go first when there is no room to wait. */
  async function deleteArchived(hold: Hold, ref: JobRef, prefix: string, from: string): Promise<number> {
    const { kvs, count } = await kv.range({ start: prefix, end: prefix + from, limit: HELD_READ, keysOnly: true });
    const waiting = kvs.filter((entry) => !hold.isArchived(entry.modRevision));
    const all = waiting.length === 0 ? 0 : waiting.length + Math.max(0, count - kvs.length);
    const lost = new Set(waiting.slice(0, hold.holdRecords(toKey(ref), all)));
    const due = kvs.filter((entry) => hold.isArchived(entry.modRevision) || lost.has(entry));
    for (let at = 0; at < due.length; at += DELETES_AT_ONCE) {
      const part = due.slice(at, at + DELETES_AT_ONCE);
      await leaderTxn(deps, {
        if: part.map(({ key, modRevision }) => unchanged(key, modRevision)),
        then: part.map(({ key }): Op => ({ op: "delete", key })),
      });
    }
    return due.length;
  }

  /** Statistics of jobs that are deleted and have no record left. */
  async function removeOrphanedStats(signal: AbortSignal): Promise<void> {
    for (const [key] of [...views.stats.entries()]) {
      const [, group = "", id = ""] = keys.parts(key);
      if (signal.aborted) return;
      if (views.jobs.get(keys.job(group, id)) !== undefined) continue;
      const prefix = keys.recordsOf(group, id);
      const left = await kv.range({ start: prefix, end: prefixEnd(prefix), limit: 1, keysOnly: true });
      if (left.kvs.length > 0) continue;
      const then: Op[] = [
        { op: "delete", key },
        { op: "delete", key: keys.lockLast(group, id) },
        { op: "deleteRange", key: keys.claimsOf(group, id), end: prefixEnd(keys.claimsOf(group, id)) },
      ];
      await leaderTxn(deps, { if: [absent(keys.job(group, id))], then });
    }
  }

  const loop = startLoop({ ...deps, log }, term.ended, round);
  const unsubscribe = views.stats.onChange((changes) => {
    for (const { key, value } of changes) {
      const [, group = "", id = ""] = keys.parts(key);
      if (value !== undefined) busy.add(toKey({ group, id }));
    }
  });
  disarm = clock.after(options.everyMs, () => loop.kick());
  return {
    async stop() {
      unsubscribe();
      disarm();
      await loop.stop();
    },
  };
}

/**
 * Given the newest record ids of a job (newest first, at most one more than `retain.count`): records before the returned id part are to be deleted;
 * undefined when there is nothing to delete, as far as these ids tell. Pure.
 */
export function deleteBefore(newestFirst: readonly string[], retain: { count: number; ageMs: number }, nowMs: number): string | undefined {
  const byCount = newestFirst.length > retain.count ? (newestFirst[retain.count - 1] ?? "~") : undefined;
  const ageBound = retain.ageMs > 0 ? firstIdAt(nowMs - retain.ageMs) : undefined;
  const oldest = newestFirst.at(-1);
  const byAge = ageBound !== undefined && oldest !== undefined && oldest < ageBound ? ageBound : undefined;
  return [byCount, byAge]
    .filter((bound) => bound !== undefined)
    .sort()
    .at(-1);
}
