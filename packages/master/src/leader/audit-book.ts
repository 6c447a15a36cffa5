/**
 * Which ticks are to be looked at, and when: every form that a job has had within its ticks' grace, with its next tick that nobody has looked at, in one heap.
 * A form that was edited keeps its ticks up to the edit; a paused one has none; those of a deleted job end. Pure but for what it holds.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import { Heap } from "fleetcron-shared/base/heap";
import type { Instants } from "fleetcron-shared/model/calendar/rule-schedule";
import type { Job, Rule } from "fleetcron-shared/model/job";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import type { Timetable } from "../timetable.ts";

/** A rule of one form of a job. */
export type AuditRule = {
  readonly job: Job;
  readonly rule: Rule;
  readonly times: Instants;
  /** Until when the job has this form: its last tick is not after that. */
  readonly form: { readonly lastMs: EpochMs };
  /** From the due time on so long somebody may still report in the ordinary way. */
  readonly graceMs: number;
};
export type DueTick = { readonly of: AuditRule; readonly dueMs: EpochMs };

type Form = { readonly job: Job; rules: readonly AuditRule[]; lastMs: number; isGone: boolean };
type Entry = DueTick & { readonly atMs: EpochMs; readonly form: Form };

export type AuditBook = {
  /** A new or changed job. Ticks whose grace was over by `untilMs` have been looked at; none is older than the change that made this form. */
  put(job: Job, untilMs: EpochMs): void;
  remove(key: JobKey): void;
  /** The next tick whose grace is over, or undefined. */
  take(nowMs: EpochMs): DueTick | undefined;
  /** The rule as it is now. */
  ruleOf(key: JobKey, ruleId: string): AuditRule | undefined;
  /** Whether the tick has been taken, or never will be, of the job's present form. */
  hasPassed(key: JobKey, ruleId: string, dueMs: EpochMs): boolean;
  /** Whether there may have been another form of the job at that time. */
  isOfOldForm(key: JobKey, dueMs: EpochMs): boolean;
  readonly size: number;
};

export function createAuditBook(deps: { timetable: Timetable }, missedAfterMs: number): AuditBook {
  const forms = new Map<JobKey, Form>();
  const heap = new Heap<Entry>();
  /** Per form and rule: the tick that comes next. */
  const next = new Map<AuditRule, EpochMs>();

  function push(form: Form, of: AuditRule, afterMs: EpochMs): void {
    const dueMs = of.times.nextAfter(afterMs);
    // Of an old form only what had its time before the edit.
    if (dueMs === undefined || dueMs + of.rule.jitterMs > form.lastMs) return void next.delete(of);
    next.set(of, dueMs);
    heap.push({ atMs: dueMs + of.graceMs, of, dueMs, form });
  }

  function rulesOf(form: Form): AuditRule[] {
    const { job } = form;
    if (job.pause) return [];
    return job.rules.flatMap((rule) => {
      if (rule.mode !== "cycle" || rule.timer === undefined) return [];
      const times = deps.timetable.of(job, rule);
      return times.kind === "startup" ? [] : [{ job, rule, times, form, graceMs: graceOf(job, rule, missedAfterMs) }];
    });
  }

  function remove(key: JobKey): void {
    const form = forms.get(key);
    if (form !== undefined) form.isGone = true;
    forms.delete(key);
  }

  return {
    put(job, untilMs) {
      const before = forms.get(job.key);
      if (before !== undefined && before.job.revision >= job.revision) return;
      if (before !== undefined && before.job.createdAtMs === job.createdAtMs) before.lastMs = job.updatedAtMs;
      else if (before !== undefined) before.isGone = true;
      const form: Form = { job, rules: [], lastMs: Number.POSITIVE_INFINITY, isGone: false };
      forms.set(job.key, form);
      form.rules = rulesOf(form);
      for (const of of form.rules) push(form, of, Math.max(untilMs - of.graceMs, job.updatedAtMs));
    },
    remove,
    take(nowMs) {
      for (let top = heap.peek(); top !== undefined && top.atMs <= nowMs; top = heap.peek()) {
        heap.pop();
        const { form, of, dueMs } = top;
        if (form.isGone) {
          next.delete(of);
          continue;
        }
        push(form, of, dueMs);
        if (dueMs + of.rule.jitterMs <= form.lastMs) return { of, dueMs };
      }
      return undefined;
    },
    ruleOf: (key, ruleId) => forms.get(key)?.rules.find(({ rule }) => rule.id === ruleId),
    hasPassed(key, ruleId, dueMs) {
      const of = forms.get(key)?.rules.find(({ rule }) => rule.id === ruleId);
      const at = of === undefined ? undefined : next.get(of);
      return at === undefined || dueMs < at;
    },
    isOfOldForm(key, dueMs) {
      const job = forms.get(key)?.job;
      return job !== undefined && job.createdAtMs < job.updatedAtMs && dueMs <= job.updatedAtMs;
    },
    get size() {
      return heap.size;
    },
  };
}

/** Cluster-wide ticks (and others with `onIsolation: hold`) may wait for etcd for `holdFor`. */
export function graceOf(job: Job, rule: Rule, missedAfterMs: number): number {
  const holds = job.kind !== "common" || job.onIsolation === "hold";
  return missedAfterMs + rule.jitterMs + (holds ? job.holdForMs : 0);
}
