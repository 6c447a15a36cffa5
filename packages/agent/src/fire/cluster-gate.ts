/**
 * May a tick of an `interval` or `alone` job run here? Rank, overlap, capacity, then the claim. Losing is silent. What cannot run here is
 * left to the others, and only when they too had their chance does it get a verdict, under a claim of its own.
 * Etcd away: the tick is held in its job's lane (lane.ts).
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import { asError, isCode } from "fleetcron-shared/base/errors";
import type { Lock } from "fleetcron-shared/model/facts";
import type { Job } from "fleetcron-shared/model/job";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import type { Outcome } from "fleetcron-shared/model/record";
import type { ActiveExecution } from "../run/executions.ts";
import { type Refusal, refusalOf } from "./admission.ts";
import { Asking } from "./asking.ts";
import { isDelayedBy, judgeBusyLock, overlapWith } from "./busy-lock.ts";
import { type ClaimDeps, type ClaimResult, claimTick } from "./claim.ts";
import type { ClusterTick } from "./cluster-tick.ts";
import type { CommonGateDeps } from "./common-gate.ts";
import { Lanes, settledBy, type Worked } from "./lane.ts";
import { launchReplaceable, launchWithSlot } from "./launch-alone.ts";
import type { Leftovers } from "./leftovers.ts";
import { takePlace, waitForLock } from "./lock-turn.ts";
import { isNotNow } from "./not-now.ts";
import { lastRankMs, RANK_STEP_MS, rankOf } from "./rank.ts";
import { cancelled, postClusterVerdict, postVerdict } from "./verdicts.ts";

/** A tick older than this may well have been claimed by somebody else: read before the claim. */
const FRESH_MS = 100;
/** After the last rank's turn, before a tick that nobody takes gets its verdict. */
const VERDICT_SPARE_MS = 500;
const RETRY_MS = 150;
/** Passed ticks are worked off at most so often. */
const PASSED_EVERY_MS = 1000;

export type ClusterGateDeps = CommonGateDeps & ClaimDeps & { readonly leftovers: Leftovers };

export class ClusterGate {
  readonly #deps: ClusterGateDeps;
  readonly #lanes: Lanes;
  /** Jobs of which a tick waits for the execution on this node to end. */
  readonly #queued = new Set<JobKey>();
  readonly #asking: Asking;
  #waitingForSlot = 0;

  constructor(deps: ClusterGateDeps) {
    this.#deps = deps;
    this.#asking = new Asking(deps.clock);
    this.#lanes = new Lanes(deps, {
      work: (tick, untilMs) => this.#workHeld(tick, untilMs),
      isolated: (tick) => this.#verdict(tick, { type: "skipped", reason: "isolated" }),
    });
  }

  /** Ticks that nobody has claimed yet and that wait here: for etcd, for their predecessor, for a slot. */
  get held(): number {
    return this.#lanes.size + this.#queued.size + this.#waitingForSlot;
  }

  pass(job: Job, ruleId: string, dueMs: EpochMs, peers: readonly string[]): void {
    const tick = this.#tick(job, ruleId, dueMs, peers);
    const waitMs = tick.rank * RANK_STEP_MS - (this.#deps.clock.now() - dueMs);
    if (tick.rank === 0 || waitMs <= 0) void this.#compete(tick);
    else this.#deps.clock.after(waitMs, () => void this.#compete(tick));
  }

  /** Works off ticks that passed while nobody could fire them: each after the one before. */
  async passInTurn(job: Job, ruleId: string, dueMs: readonly EpochMs[], peers: readonly string[]): Promise<void> {
    const { clock } = this.#deps;
    const ticks = dueMs.map((each) => this.#tick(job, ruleId, each, peers));
    for (const tick of ticks) this.#note(tick);
    for (const tick of ticks) {
      const startedMono = clock.mono();
      while ((await this.#workHeld(tick, settledBy(clock.now())).catch(() => "busy")) !== "done") await clock.sleep(RETRY_MS);
      await clock.sleep(Math.max(0, startedMono + PASSED_EVERY_MS - clock.mono()));
    }
  }

  #tick(job: Job, ruleId: string, dueMs: EpochMs, peers: readonly string[]): ClusterTick {
    const { clock, nodeId } = this.#deps;
    const prefer = job.rules.find((rule) => rule.id === ruleId)?.target.prefer ?? [];
    const rank = rankOf(nodeId, peers, prefer, job.key, dueMs);
    const ageMs = Math.max(0, clock.now() - dueMs);
    const holdUntilMono = clock.mono() + Math.min(job.holdForMs, job.misfireWindowMs) - ageMs;
    return { job, ruleId, dueMs, execution: this.#deps.newId(), peers, rank, holdUntilMono };
  }

  async #compete(tick: ClusterTick): Promise<void> {
    try {
      const execution = await this.#enter(tick);
      if (execution === "held") return;
      if ("reason" in execution) return this.#leave(tick, execution);
      const result = await this.#claim(tick, execution, undefined);
      if (result.type === "busy") return await this.#busy(tick, execution, result.holder);
      if (result.type !== "won") return this.#drop(execution);
      await this.#run(tick, execution, result);
    } catch (thrown) {
      this.#deps.log.error({ job: tick.job.key, error: asError(thrown).message }, "cannot decide on a tick");
    }
  }

  /** Past drain, what this host allows, overlap and capacity: the execution, whose slot is taken. Else why the tick is left to others, or that it was put into its lane. */
  async #enter(tick: ClusterTick): Promise<ActiveExecution | Refusal | "held"> {
    const { job } = tick;
    const { slots, executions, clock } = this.#deps;
    const giveUpMono = clock.mono() + job.misfireWindowMs;
    for (let hasSlot = false; ; ) {
      const active = job.kind === "interval" ? executions.of(job.key) : [];
      const inTheWay = this.#inTheWay(tick) ?? (active.length > 0 ? "active" : undefined);
      if (inTheWay === undefined && (hasSlot || slots.tryTake())) return this.#begin(tick);
      if (hasSlot) slots.release();
      hasSlot = false;
      this.#note(tick);
      if (inTheWay === "active" && (await this.#asking.answered(active))) {
        // Its predecessor was delayed, so it is, too.
        if (this.#lanes.has(job.key)) continue;
        return this.#lanes.join(tick, settledBy(clock.now())) ? "held" : { reason: "overlap" };
      }
      if (inTheWay === "lane") return this.#lanes.join(tick) ? "held" : { reason: "overlap" };
      if (inTheWay === "active") {
        if (!(await this.#afterOverlap(job, active))) return { reason: "overlap" };
      } else if (inTheWay !== undefined) return inTheWay;
      else {
        hasSlot = await this.#takeSlot(giveUpMono - clock.mono());
        if (!hasSlot) return { reason: "capacity" };
      }
    }
  }

  #inTheWay(tick: ClusterTick): Refusal | "lane" | undefined {
    return this.#deps.isCurrentJob(tick.job) && this.#lanes.takes(tick) ? "lane" : this.#refusal(tick);
  }

  /** Why this node does not take the tick, whatever runs here. */
  #refusal(tick: ClusterTick): Refusal | undefined {
    if (!this.#deps.isCurrentJob(tick.job)) return { reason: "cancelled" };
    return this.#deps.isDraining() ? { reason: "drained" } : refusalOf(this.#deps, tick.job, undefined);
  }

  /** The claim; when etcd is away the execution is given up again and the tick goes into its lane. */
  async #claim(tick: ClusterTick, execution: ActiveExecution, delaysUntilMs: EpochMs | undefined): Promise<ClaimResult | { type: "held" }> {
    const { job, ruleId, dueMs } = tick;
    const look = delaysUntilMs !== undefined || tick.rank > 0 || this.#deps.clock.now() - dueMs > FRESH_MS;
    try {
      await this.#deps.journal.committed();
      const claimKey = this.#deps.keys.claim(job.group, job.id, ruleId, dueMs);
      const lockKey = job.kind === "alone" ? this.#deps.keys.lock(job.group, job.id) : undefined;
      const request = { execution: execution.id, claimKey, lockKey, windowMs: job.misfireWindowMs, dueMs, look, delaysUntilMs };
      return await claimTick(this.#deps, request);
    } catch (thrown) {
      this.#deps.leftovers.missed(thrown, execution.id, job);
      this.#deps.executions.shelve(execution);
      this.#deps.slots.release();
      if (delaysUntilMs !== undefined) throw thrown;
      if (!isNotNow(thrown)) this.#deps.log.error({ job: job.key, error: asError(thrown).message }, "cannot claim a tick");
      if (!this.#lanes.join(tick)) this.#leave(tick, { reason: "isolated" });
      return { type: "held" };
    } finally {
      this.#asking.ends(execution);
    }
  }

  /** The head of a lane: claim it and run it to its end, or find that somebody else did. */
  async #workHeld(tick: ClusterTick, untilMs: EpochMs): Promise<Worked> {
    const { job } = tick;
    const { clock, slots, executions } = this.#deps;
    const refusal = this.#refusal(tick);
    if (refusal !== undefined) {
      this.#leave(tick, refusal);
      return "done";
    }
    if (clock.now() - tick.dueMs > job.misfireWindowMs) {
      this.#verdict(tick, { type: "missed", reason: "misfireWindow" });
      return "done";
    }
    if (executions.countOf(job.key) > 0 || !slots.tryTake()) return "busy";
    const execution = this.#begin(tick);
    const result = await this.#claim(tick, execution, untilMs);
    if (result.type === "busy") {
      executions.shelve(execution);
      slots.release();
      return result.holder === undefined ? "busy" : { behind: result.holder.execution };
    }
    if (result.type !== "won") this.#drop(execution);
    else await this.#run(tick, execution, result);
    return "done";
  }

  /** `alone`, and the lock is taken: an overlap, to be skipped, queued or replaced as the job says; or a delay, to be waited for. */
  async #busy(tick: ClusterTick, execution: ActiveExecution, holder: Lock | undefined): Promise<void> {
    const { executions, slots } = this.#deps;
    slots.release();
    if (tick.job.overlap === "skip" || isDelayedBy(holder, tick)) {
      executions.shelve(execution);
      return this.#judgeOverlap(tick, holder);
    }
    const place = await this.#placeInLine(tick, execution);
    if (typeof place === "string") {
      executions.move(execution, "ended");
      if (place === "isolated") this.#verdict(tick, { type: "skipped", reason: "isolated" });
      if (place === "taken") this.#verdict(tick, { type: "skipped", reason: "overlap", detail: "another execution is queued already" });
      return;
    }
    const lock = await waitForLock(this.#deps, execution, place);
    if (lock === undefined) return this.#cancel(tick, execution);
    execution.lock = lock;
    execution.fence = lock.fence;
    await launchWithSlot(this.#deps, execution);
  }

  async #judgeOverlap(tick: ClusterTick, holder: Lock | undefined): Promise<void> {
    const judgement = await judgeBusyLock(this.#deps, tick, holder);
    if (judgement === "lost") return this.#deps.executions.unshelve(tick.execution);
    if (judgement === "overlap") return this.#verdict(tick, overlapWith(holder));
    if (!this.#lanes.join(tick, judgement.delayedUntilMs)) this.#leave(tick, { reason: "overlap" });
  }

  async #placeInLine(tick: ClusterTick, execution: ActiveExecution) {
    for (;;) {
      try {
        return await takePlace(this.#deps, execution, tick);
      } catch (thrown) {
        if (!isNotNow(thrown)) throw thrown;
        this.#deps.leftovers.missed(thrown, execution.id, tick.job);
        if (isCode(thrown, "etcd/lease-gone")) this.#deps.leases.forget();
        if (this.#deps.clock.mono() > tick.holdUntilMono) return "isolated";
        await this.#deps.clock.sleep(RETRY_MS);
      }
    }
  }

  /** It waits here: should the agent die meanwhile, the next one sees to its verdict. */
  #note(tick: ClusterTick): void {
    this.#deps.executions.note(tick.execution, tick.job, { type: "tick", ruleId: tick.ruleId, dueMs: tick.dueMs });
  }

  #begin(tick: ClusterTick): ActiveExecution {
    const execution = this.#deps.executions.begin(tick.execution, tick.job, { type: "tick", ruleId: tick.ruleId, dueMs: tick.dueMs });
    this.#asking.begins(execution);
    return execution;
  }

  /** The tick is ours: run it, unless its job has changed while we asked. */
  async #run(tick: ClusterTick, execution: ActiveExecution, result: ClaimResult & { type: "won" }): Promise<void> {
    execution.fence = result.fence;
    execution.lock = result.lock;
    if (this.#deps.isCurrentJob(tick.job) && execution.killRequest === undefined) return launchReplaceable(this.#deps, execution);
    this.#deps.slots.release();
    this.#cancel(tick, execution);
  }

  /** A tick that is ours does not run after all. */
  #cancel(tick: ClusterTick, execution: ActiveExecution): void {
    const { id, lock, origin } = execution;
    postVerdict(this.#deps, tick.job, origin, cancelled(execution), { execution: id, lock });
    this.#deps.executions.move(execution, "ended");
  }

  /** Gives back the slot and the execution of a tick that somebody else has. */
  #drop(execution: ActiveExecution): void {
    if (execution.state === "ended") return;
    this.#deps.executions.move(execution, "ended");
    this.#deps.slots.release();
  }

  /** Interval jobs: what to do about an execution on this node; false leaves the tick to others. */
  async #afterOverlap(job: Job, active: readonly ActiveExecution[]): Promise<boolean> {
    if (job.overlap === "skip" || this.#queued.has(job.key)) return false;
    this.#queued.add(job.key);
    this.#deps.executions.onChanged();
    if (job.overlap === "replace")
      for (const execution of active) execution.kill({ by: "fleetcron", reason: "replaced by a later execution" });
    await Promise.all(active.map((execution) => execution.ended));
    this.#queued.delete(job.key);
    return true;
  }

  async #takeSlot(limitMs: number): Promise<boolean> {
    const stop = new AbortController();
    const cancel = this.#deps.clock.after(limitMs, () => stop.abort());
    this.#waitingForSlot++;
    this.#deps.executions.onChanged();
    const taken = await this.#deps.slots.take(stop.signal);
    this.#waitingForSlot--;
    this.#deps.executions.onChanged();
    cancel();
    return taken;
  }

  /** This node does not run the tick: once every peer had its turn, it gets a verdict, unless somebody has claimed it. */
  #leave(tick: ClusterTick, refusal: Refusal): void {
    const ageMs = this.#deps.clock.now() - tick.dueMs;
    const waitMs = lastRankMs(tick.peers) + VERDICT_SPARE_MS - ageMs;
    this.#deps.clock.after(waitMs, () => this.#verdict(tick, { type: "skipped", ...refusal }));
  }

  #verdict(tick: ClusterTick, outcome: Outcome): void {
    postClusterVerdict(this.#deps, tick.job, tick, outcome, { execution: tick.execution });
    this.#deps.executions.unshelve(tick.execution);
  }
}
