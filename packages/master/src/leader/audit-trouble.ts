/** What the auditor holds of a job that has ticks without a report, and what is to be written of it. Pure. */
import type { EpochMs, MonoMs } from "fleetcron-shared/base/clock";
import type { Instants } from "fleetcron-shared/model/calendar/rule-schedule";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import { type MissedRange, NO_NODE, type TickSpan } from "fleetcron-shared/model/missed";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { Revision } from "fleetcron-shared/store/kv";
import type { AuditRule } from "./audit-book.ts";
import { concerns, cut, fits, follows, type MissedTick } from "./audit-ranges.ts";

/** A tick that nobody has reported yet. */
export type OpenTick = { readonly of: AuditRule; readonly dueMs: EpochMs; readonly node: string | undefined };
export type DecidedTick = MissedTick & { readonly of: AuditRule };
/** A range as etcd holds it. */
export type HeldRange = { readonly range: MissedRange; readonly record: ExecutionRecord; readonly revision: Revision };

export type Trouble = {
  readonly key: JobKey;
  readonly open: Map<string, OpenTick>;
  decided: DecidedTick[];
  /** Undefined: not read yet. */
  ranges: readonly HeldRange[] | undefined;
  /** Verdicts that were taken back and are yet to be deleted. */
  voids: readonly { readonly key: string; readonly revision: Revision }[];
  /** Reports that the ranges have not been held against yet. */
  spans: TickSpan[];
  /** All of the job's records are to be held against its ranges. */
  isUnsure: boolean;
  writtenMono: MonoMs;
  /** The last tick that somebody was told of, by rule, node and reason. */
  readonly told: Map<string, EpochMs>;
};

export function createTrouble(key: JobKey): Trouble {
  return {
    ...{ key, open: new Map(), decided: [], ranges: undefined, voids: [], spans: [], isUnsure: false },
    ...{ writtenMono: Number.NEGATIVE_INFINITY, told: new Map() },
  };
}

export function addOpen(trouble: Trouble, tick: OpenTick): void {
  trouble.open.set(`${tick.of.rule.id} ${tick.dueMs} ${tick.node ?? ""}`, tick);
}

/** Somebody has reported these ticks. */
export function report(trouble: Trouble, spans: readonly TickSpan[]): void {
  const isReported = (ruleId: string, dueMs: EpochMs, node: string | undefined) =>
    spans.some(
      (span) =>
        span.ruleId === ruleId &&
        span.firstMs <= dueMs &&
        span.lastMs >= dueMs &&
        (node === undefined || node === NO_NODE || node === span.node),
    );
  for (const [key, { of, dueMs, node }] of trouble.open) if (isReported(of.rule.id, dueMs, node)) trouble.open.delete(key);
  trouble.decided = trouble.decided.filter(({ ruleId, dueMs, node }) => !isReported(ruleId, dueMs, node));
  if (trouble.ranges === undefined) trouble.spans.push(...spans);
  else trouble.spans.push(...spans.filter((span) => trouble.ranges?.some(({ range }) => concerns(range, span))));
}

/** A range as it stands and as it should: `held` undefined: it is new; `range` undefined: it is to go. `from`: what a part was cut off from. */
export type Slot = {
  readonly held: HeldRange | undefined;
  readonly range: MissedRange | undefined;
  readonly of: AuditRule | undefined;
  readonly from?: ExecutionRecord;
};

/** The slots that differ from what is held. `timesOf`: when the rule of a held range is due, if it is still the same. */
export function planSlots(trouble: Trouble, timesOf: (held: HeldRange) => Instants | undefined): Slot[] {
  const slots: Slot[] = [];
  /** Where the newest range of each rule, node and reason is. */
  const newest = new Map<string, number>();
  const add = (slot: Slot, revision: number) => {
    slots.push(slot);
    if (slot.range === undefined) return;
    const key = `${toldKey(slot.range)} ${revision}`;
    const known = slots[newest.get(key) ?? -1]?.range;
    if (known === undefined || known.lastMs <= slot.range.lastMs) newest.set(key, slots.length - 1);
  };
  for (const held of trouble.ranges ?? []) {
    const spans = trouble.spans.filter((span) => concerns(held.range, span));
    const times = spans.length === 0 ? undefined : timesOf(held);
    let pieces: MissedRange[] = [held.range];
    for (const span of spans) pieces = pieces.flatMap((piece) => (concerns(piece, span) ? cut(piece, span, times) : [piece]));
    const [first, ...others] = pieces;
    add({ held, range: first, of: undefined }, held.record.jobRevision);
    for (const range of others) add({ held: undefined, range, of: undefined, from: held.record }, held.record.jobRevision);
  }
  for (const tick of trouble.decided.toSorted((a, b) => a.dueMs - b.dueMs)) {
    const { ruleId, node, reason, dueMs, of } = tick;
    const at = newest.get(`${toldKey(tick)} ${of.job.revision}`) ?? -1;
    const slot = slots[at];
    if (slot?.range !== undefined && fits(slot.range, dueMs) && follows(slot.range, tick, of.times))
      slots[at] = { ...slot, of, range: { ...slot.range, lastMs: dueMs, count: slot.range.count + 1 } };
    else add({ held: undefined, of, range: { ruleId, node, reason, firstMs: dueMs, lastMs: dueMs, count: 1 } }, of.job.revision);
  }
  return joined(slots).filter(({ held, range }) => (held === undefined ? range !== undefined : held.range !== range));
}

/** Ticks are not decided on in their order: ranges that have come to touch each other become one. */
function joined(slots: readonly Slot[]): readonly Slot[] {
  const groups = Map.groupBy(
    slots.filter(({ range }) => range !== undefined),
    ({ range, of, held, from }) =>
      range === undefined ? "" : `${toldKey(range)} ${of?.job.revision ?? (held?.record ?? from)?.jobRevision}`,
  );
  const changed = new Map<Slot, Slot>();
  for (const group of groups.values()) {
    const times = group.find(({ of }) => of !== undefined)?.of?.times;
    if (times === undefined || group.length < 2) continue;
    let last: Slot | undefined;
    for (const slot of group.toSorted((a, b) => (a.range?.firstMs ?? 0) - (b.range?.firstMs ?? 0))) {
      const [a, b] = [last?.range, slot.range];
      if (last === undefined || a === undefined || b === undefined || times.nextAfter(a.lastMs) !== b.firstMs || !fits(a, b.lastMs)) {
        last = slot;
        continue;
      }
      const range = { ...a, lastMs: b.lastMs, count: a.count + b.count };
      const of = last.of ?? slot.of;
      // One that is held stays; of two that are held the first.
      const [kept, gone] = last.held === undefined ? [slot, last] : [last, slot];
      const before = [...changed].find(([, now]) => now === last)?.[0] ?? last;
      changed.set(kept === last ? before : slot, { ...kept, of, range });
      changed.set(gone === last ? before : slot, { held: gone.held, of: undefined, range: undefined });
      last = changed.get(kept === last ? before : slot);
    }
  }
  return changed.size === 0 ? slots : slots.map((slot) => changed.get(slot) ?? slot);
}

/** Whether a new range only goes on from one that somebody was told of. */
export function isToldAlready(trouble: Trouble, range: MissedRange, of: AuditRule | undefined): boolean {
  if (of === undefined) return true;
  const previousMs = of.times.lastAtOrBefore(range.firstMs - 1);
  if (previousMs === undefined) return false;
  const toldMs = trouble.told.get(toldKey(range));
  const isHeld = (trouble.ranges ?? []).some(
    ({ range: { ruleId, node, reason, lastMs } }) =>
      ruleId === range.ruleId && node === range.node && reason === range.reason && lastMs === previousMs,
  );
  return isHeld || toldMs === previousMs;
}

export function toldKey({ ruleId, node, reason }: Pick<MissedRange, "ruleId" | "node" | "reason">): string {
  return `${ruleId} ${node} ${reason}`;
}

/** Nothing is left to do or to remember. */
export function isEmpty({ open, decided, ranges, voids, spans, isUnsure }: Trouble): boolean {
  return open.size === 0 && decided.length === 0 && spans.length === 0 && voids.length === 0 && !isUnsure && (ranges?.length ?? 0) === 0;
}
