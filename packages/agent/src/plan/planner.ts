/**
 * The plan: every dispatch of this node with its next due time, in one heap. Knows nothing of etcd, timers or processes; time is handed in.
 * Invariants: a tick is handed out at most once (`handledMs` only grows, also when the clock steps back, but by more than a day), and never for
 * time before the edit that brought the present form of its job. Etcd away: the plan simply stays as it was.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import { Heap } from "fleetcron-shared/base/heap";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import { type Passed, resolvePassed } from "./misfire.ts";
import { type PlannedJob, type PlannedRule, planJob } from "./planned-job.ts";
import type { Schedules } from "./schedules.ts";

/** What is remembered of a rule beyond the life of the agent process. */
export type RuleState = {
  /** Tells a job from an earlier one of the same name. */
  readonly jobCreatedMs: EpochMs;
  readonly handledMs: EpochMs;
  /** `onlyonce`: has succeeded on this node. */
  readonly succeeded: boolean;
  /** `@startup`: the boot for which it was handed out. */
  readonly bootId: string | undefined;
};
export type RuleStates = { get(ruleKey: string): RuleState | undefined; set(ruleKey: string, state: RuleState): void };

/** One rule's ticks that are due now. */
export type DueRule = Passed & { readonly job: PlannedJob; readonly rule: PlannedRule };

export type PlannerOptions = {
  readonly nodeId: string;
  readonly bootId: string;
  /** When this node first registered: `manyonce` jobs submitted before are not for it. */
  readonly nodeCreatedMs: EpochMs;
  readonly startedMs: EpochMs;
  /** Up to when an earlier agent process of this node is known to have been planning; undefined on a node's very first start. */
  readonly lastPlannedMs: EpochMs | undefined;
};

/** Clocks of master and agent may differ by this much in comparing a submission with a registration. */
const CLOCK_TOLERANCE_MS = 10_000;
/** A clock set back by more than this had been wrong: what it made us handle of the future is due again. */
const WRONG_CLOCK_MS = 24 * 3_600_000;

type Entry = { readonly atMs: EpochMs; readonly job: PlannedJob; readonly rule: PlannedRule };

export class Planner {
  readonly #jobs = new Map<JobKey, PlannedJob>();
  readonly #heap = new Heap<Entry>();
  readonly #deps: { schedules: Schedules; states: RuleStates };
  readonly #options: PlannerOptions;
  #lastNowMs = 0;

  constructor(deps: { schedules: Schedules; states: RuleStates }, options: PlannerOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get size(): number {
    return this.#jobs.size;
  }

  get(jobKey: JobKey): PlannedJob | undefined {
    return this.#jobs.get(jobKey);
  }

  jobs(): IterableIterator<PlannedJob> {
    return this.#jobs.values();
  }

  /**
   * A new or changed dispatch. `catchUp`: it was there when this process started, so ticks that passed while no agent ran are misfires;
   * otherwise nothing before `nowMs` fires.
   */
  put(key: string, text: string, nowMs: EpochMs, catchUp: boolean): void {
    const job = planJob(this.#deps, this.#options.nodeId, key, text);
    this.#jobs.set(job.key, job);
    for (const rule of job.rules) this.#arm(job, rule, nowMs, catchUp);
    if (this.#heap.size > 2 * this.#jobs.size + 1000) this.#heap.retain((entry) => this.#isCurrent(entry));
  }

  remove(jobKey: JobKey): void {
    this.#jobs.delete(jobKey);
  }

  /** Forgets that an `onlyonce` rule has succeeded or failed, so it is due again. */
  reset(jobKey: JobKey, nowMs: EpochMs): void {
    const job = this.#jobs.get(jobKey);
    if (job === undefined) return;
    for (const rule of job.rules) {
      if (rule.when.type !== "once" || rule.mode !== "onlyonce") continue;
      rule.handledMs = 0;
      this.#deps.states.set(ruleKey(job, rule), { jobCreatedMs: job.createdAtMs, handledMs: 0, succeeded: false, bootId: undefined });
      if (!job.pause) this.#heap.push({ atMs: nowMs, job, rule });
    }
  }

  /** The job has succeeded on this node: its `onlyonce` rule (all of them when it was ordered) never fires here again, whatever is submitted. */
  succeeded(of: { readonly key: JobKey; readonly createdAtMs: EpochMs }, ruleId: string | undefined): void {
    const job = this.#jobs.get(of.key);
    if (job === undefined || job.createdAtMs !== of.createdAtMs) return;
    for (const rule of job.rules)
      if (rule.mode === "onlyonce" && (ruleId === undefined || rule.id === ruleId)) this.#remember(job, rule, { succeeded: true });
  }

  /** When the earliest rule is due, or undefined. */
  nextAtMs(): EpochMs | undefined {
    for (let top = this.#heap.peek(); top !== undefined; top = this.#heap.peek()) {
      if (this.#isCurrent(top)) return top.atMs;
      this.#heap.pop();
    }
    return undefined;
  }

  /** Takes at most `limit` rules that are due, with all their ticks up to now, and plans their next ones. */
  takeDue(nowMs: EpochMs, limit: number): DueRule[] {
    const due: DueRule[] = [];
    if (nowMs < this.#lastNowMs - WRONG_CLOCK_MS) this.#planAnew(nowMs);
    this.#lastNowMs = nowMs;
    while (due.length < limit) {
      const at = this.nextAtMs();
      if (at === undefined || at > nowMs) break;
      const entry = this.#heap.pop();
      if (entry === undefined) break;
      const taken = this.#take(entry, nowMs);
      if (taken !== undefined) due.push(taken);
    }
    return due;
  }

  #take(entry: Entry, nowMs: EpochMs): DueRule | undefined {
    const { job, rule } = entry;
    if (rule.when.type !== "instants") {
      const dueMs = rule.when.type === "startup" ? this.#options.startedMs : job.submittedAtMs;
      if (dueMs <= rule.handledMs) return undefined;
      const tooOld = !this.#catchesUp(job, rule) && nowMs - dueMs > job.misfireWindowMs;
      this.#remember(job, rule, { handledMs: dueMs, bootId: this.#options.bootId });
      const missed = tooOld ? { firstMs: dueMs, lastMs: dueMs, count: 1 } : undefined;
      return { job, rule, fire: tooOld ? [] : [dueMs], skipped: undefined, missed, handledMs: dueMs };
    }
    const passed = resolvePassed(rule.when.instants, {
      afterMs: rule.handledMs,
      nowMs: nowMs - rule.jitterMs,
      policy: job.misfire,
      windowMs: job.misfireWindowMs,
      graceMs: rule.handledMs < this.#options.startedMs && !this.#startedSince(rule, nowMs) ? 0 : job.graceMs,
    });
    if (passed.handledMs > rule.handledMs) this.#remember(job, rule, { handledMs: passed.handledMs });
    this.#pushNext(job, rule);
    return passed.fire.length === 0 && !passed.skipped && !passed.missed ? undefined : { job, rule, ...passed };
  }

  /** Whether all of the rule's passed ticks fell into this process's life. */
  #startedSince(rule: PlannedRule, nowMs: EpochMs): boolean {
    if (rule.when.type !== "instants") return true;
    const oldest = rule.when.instants.nextAfter(rule.handledMs);
    return oldest === undefined || oldest > nowMs || oldest + rule.jitterMs >= this.#options.startedMs;
  }

  #arm(job: PlannedJob, rule: PlannedRule, nowMs: EpochMs, catchUp: boolean): void {
    const stored = this.#deps.states.get(ruleKey(job, rule));
    const state = stored?.jobCreatedMs === job.createdAtMs ? stored : undefined;
    rule.handledMs = state === undefined || state.handledMs > nowMs + WRONG_CLOCK_MS ? 0 : state.handledMs;
    if (rule.when.type === "startup") {
      const firesNow = catchUp && state?.bootId !== this.#options.bootId && !job.pause;
      if (firesNow) this.#heap.push({ atMs: this.#options.startedMs + rule.jitterMs, job, rule });
      else this.#remember(job, rule, { bootId: this.#options.bootId });
    } else if (rule.when.type === "once") {
      const forThisNode = this.#catchesUp(job, rule) || this.#options.nodeCreatedMs - CLOCK_TOLERANCE_MS <= job.submittedAtMs;
      const isDue = forThisNode && !state?.succeeded && rule.handledMs < job.submittedAtMs && !job.pause;
      if (isDue) this.#heap.push({ atMs: nowMs + rule.jitterMs, job, rule });
    } else {
      const plannedMs = Math.min(this.#options.lastPlannedMs ?? this.#options.startedMs, this.#options.startedMs);
      const floor = Math.max(Math.min(job.updatedAtMs, nowMs), (catchUp ? plannedMs : nowMs) - rule.jitterMs);
      rule.handledMs = Math.max(rule.handledMs, floor);
      if (!job.pause) this.#pushNext(job, rule);
    }
  }

  /** Whether a node that was not there at the submission runs it later: only where each node runs it for itself. */
  #catchesUp(job: PlannedJob, rule: PlannedRule): boolean {
    return rule.when.type === "startup" || (rule.mode === "onlyonce" && job.kind === "common");
  }

  /** The clock had been far ahead: nothing of that time counts. */
  #planAnew(nowMs: EpochMs): void {
    this.#heap.retain((entry) => entry.rule.when.type !== "instants");
    for (const job of this.#jobs.values()) {
      for (const rule of job.rules) {
        rule.handledMs = Math.min(rule.handledMs, nowMs);
        if (rule.when.type === "instants" && !job.pause) this.#pushNext(job, rule);
      }
    }
  }

  #pushNext(job: PlannedJob, rule: PlannedRule): void {
    const next = rule.when.type === "instants" ? rule.when.instants.nextAfter(rule.handledMs) : undefined;
    if (next !== undefined) this.#heap.push({ atMs: next + rule.jitterMs, job, rule });
  }

  #remember(job: PlannedJob, rule: PlannedRule, change: { handledMs?: EpochMs; succeeded?: boolean; bootId?: string }): void {
    if (change.handledMs !== undefined) rule.handledMs = Math.max(rule.handledMs, change.handledMs);
    const key = ruleKey(job, rule);
    const stored = this.#deps.states.get(key);
    const before = stored?.jobCreatedMs === job.createdAtMs ? stored : undefined;
    this.#deps.states.set(key, {
      jobCreatedMs: job.createdAtMs,
      handledMs: rule.handledMs,
      succeeded: change.succeeded ?? before?.succeeded ?? false,
      bootId: change.bootId ?? before?.bootId,
    });
  }

  #isCurrent(entry: Entry): boolean {
    return this.#jobs.get(entry.job.key) === entry.job;
  }
}

function ruleKey(job: PlannedJob, rule: PlannedRule): string {
  return `${job.key}/${rule.id}`;
}
