/**
 * Writes what the auditor has decided, many jobs in a transaction. What is refused, because somebody else has changed the job's records or statistics meanwhile,
 * is read again in the next pass. Etcd away: it throws, and everything not surely written is decided again.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import { MAX_TXN_OPS, type Op, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { fromKey } from "../job-ref.ts";
import { readKeys } from "../ops/read-keys.ts";
import type { AuditBook } from "./audit-book.ts";
import type { AuditFollower } from "./audit-follow.ts";
import { newestRecord } from "./audit-reads.ts";
import { isToldAlready, planSlots, report, type Slot, type Trouble, toldKey } from "./audit-trouble.ts";
import { type AuditWrite, planAuditWrite } from "./audit-writes.ts";
import { type LeaderDeps, leaderTxn } from "./leader-deps.ts";

export type WriteContext = {
  readonly troubles: ReadonlyMap<JobKey, Trouble>;
  readonly follower: AuditFollower;
  readonly book: AuditBook;
  /** A range is made longer at most so often. */
  readonly everyMs: number;
  /** Takes in what was filed meanwhile. */
  before(): void;
};

/** Of one job in one transaction, and of all. */
const SLOTS_A_JOB = 30;
const OPS = MAX_TXN_OPS - 8;

type Piece = { readonly trouble: Trouble; readonly slots: readonly Slot[]; readonly rest: number };
type Planned = Piece & { readonly write: AuditWrite };

/** Returns how many records were written. */
export async function writeTroubles(deps: LeaderDeps, context: WriteContext, nowMs: EpochMs, signal: AbortSignal): Promise<number> {
  const { keys, views, clock } = deps;
  let written = 0;
  /** A job is written again in the same pass only to finish what did not fit. */
  const done = new Set<JobKey>();
  const news = new Set<JobKey>();

  /** Each job once, and again what did not fit. */
  const waiting = [...context.troubles.values()].filter(({ decided, spans }) => decided.length > 0 || spans.length > 0);
  waiting.reverse();

  function due(): Piece[] {
    context.before();
    const pieces: Piece[] = [];
    let count = 0;
    for (let trouble = waiting.at(-1); trouble !== undefined; trouble = waiting.at(-1)) {
      const slots = done.has(trouble.key) ? [] : slotsOf(trouble);
      const taken = slots.slice(0, SLOTS_A_JOB);
      if (count > 0 && count + taken.length + 2 > OPS) break;
      waiting.pop();
      if (taken.length === 0) continue;
      count += taken.length + 2;
      pieces.push({ trouble, slots: taken, rest: slots.length - taken.length });
    }
    return pieces;
  }

  function slotsOf(trouble: Trouble): Slot[] {
    const { group, id } = fromKey(trouble.key);
    const isNothing = trouble.decided.length === 0 && trouble.spans.length === 0;
    if (trouble.ranges === undefined || isNothing || views.jobs.get(keys.job(group, id)) === undefined) return [];
    const slots = planSlots(trouble, ({ range, record }) => {
      const of = context.book.ruleOf(trouble.key, range.ruleId);
      return of !== undefined && of.job.revision === record.jobRevision ? of.times : undefined;
    });
    if (slots.length === 0) {
      trouble.spans = [];
      return [];
    }
    const isLonger = ({ held, range }: Slot) =>
      held !== undefined && range?.firstMs === held.range.firstMs && range.lastMs > held.range.lastMs;
    const mayWait = slots.every(isLonger) && clock.mono() < trouble.writtenMono + context.everyMs;
    return mayWait ? [] : slots;
  }

  async function plan(pieces: readonly Piece[]): Promise<Planned[]> {
    const statsKey = ({ trouble }: Piece) => {
      const { group, id } = fromKey(trouble.key);
      return keys.stats(group, id);
    };
    const found = await readKeys(deps.kv, pieces.map(statsKey));
    const planned: Planned[] = [];
    for (const piece of pieces) {
      const { group, id } = fromKey(piece.trouble.key);
      const job = views.jobs.get(keys.job(group, id))?.job;
      if (job === undefined) continue;
      const stats = found.get(statsKey(piece));
      const gone = piece.slots.flatMap(({ held, range }) => (held === undefined || range !== undefined ? [] : [held.record.id]));
      const newest = gone.length === 0 ? undefined : await newestRecord(deps, job, new Set(gone));
      const write = planAuditWrite(keys, job, piece.slots, {
        ...{ nowMs, stats, newest },
        hostname: (node) => context.follower.nodes.get(node)?.hostname ?? node,
        // What does not fit is told of with what does.
        isNews: (range, { of, from }) => from === undefined && !news.has(piece.trouble.key) && !isToldAlready(piece.trouble, range, of),
      });
      planned.push({ ...piece, write });
    }
    return planned;
  }

  async function write(planned: readonly Planned[]): Promise<boolean> {
    const txn = { if: planned.flatMap((one) => one.write.if), then: planned.flatMap((one) => one.write.then) };
    if (txn.then.length === 0) return true;
    const { succeeded, revision } = await leaderTxn(deps, txn);
    if (!succeeded) return false;
    for (const one of planned) take(one, revision);
    await removeVoids(planned.map(({ trouble }) => trouble));
    return true;
  }

  /** It is written: what is held is what stands there now. */
  function take({ trouble, slots, rest, write: { records, voids } }: Planned, revision: Revision): void {
    const before = new Set(slots.map(({ held }) => held).filter((held) => held !== undefined));
    const kept = (trouble.ranges ?? []).filter((held) => !before.has(held));
    const now = records.flatMap(({ slot, record }) => (slot.range === undefined ? [] : [{ range: slot.range, record, revision }]));
    trouble.ranges = [...kept, ...now].sort((a, b) => a.range.firstMs - b.range.firstMs);
    trouble.voids = [...trouble.voids, ...voids.map((key) => ({ key, revision }))];
    for (const { slot } of records) if (slot.range !== undefined) trouble.told.set(toldKey(slot.range), slot.range.lastMs);
    for (const { held, range } of slots)
      if (range !== undefined) deps.observe?.missed(range.reason, Math.max(0, range.count - (held?.range.count ?? 0)));
    const spans = trouble.spans;
    // Their verdicts are there.
    report(
      trouble,
      now.map(({ range }) => range),
    );
    trouble.spans = rest > 0 ? spans : [];
    trouble.writtenMono = clock.mono();
    news.add(trouble.key);
    if (rest === 0) done.add(trouble.key);
    else waiting.push(trouble);
    written += slots.length;
  }

  async function removeVoids(of: readonly Trouble[]): Promise<void> {
    for (const trouble of of) {
      for (let at = 0; at < trouble.voids.length; at += OPS) {
        const part = trouble.voids.slice(at, at + OPS);
        const then = part.map(({ key }): Op => ({ op: "delete", key }));
        await leaderTxn(deps, { if: part.map(({ key, revision }) => unchanged(key, revision)), then });
      }
      // What somebody has changed meanwhile is no void any more.
      trouble.voids = [];
    }
  }

  await removeVoids([...context.troubles.values()].filter(({ voids }) => voids.length > 0));
  for (let pieces = due(); pieces.length > 0 && !signal.aborted; pieces = due()) {
    if (await attempt(pieces)) continue;
    for (const piece of pieces) if (!(await attempt([piece]))) giveUp(piece.trouble);
  }
  return written;

  /** Throws when nobody knows whether it was written: then all of it is read again. */
  async function attempt(pieces: readonly Piece[]): Promise<boolean> {
    try {
      return await write(await plan(pieces));
    } catch (error) {
      for (const { trouble } of pieces) giveUp(trouble);
      throw error;
    }
  }

  function giveUp(trouble: Trouble): void {
    trouble.ranges = undefined;
    trouble.isUnsure = true;
    done.add(trouble.key);
  }
}
