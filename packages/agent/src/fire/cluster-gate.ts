/**
 * May a tick of an `interval` or `alone` job run here? Rank, overlap, capacity, then the claim. Losing is silent. What cannot run here is
 * left to the others, and only when they too had their chance does it get a verdict, under a claim of its own.
 * Etcd away: the tick is held in its job's lane (lane.ts).
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import { asError, isCode } from "fleetcron-shared/base/errors";
import type { Job } from "fleetcron-shared/model/job";
import type { Outcome, SkipReason } from "fleetcron-shared/model/record";
import type { ActiveExecution } from "../run/executions.ts";
import { type ClaimDeps, type ClaimResult, claimTick } from "./claim.ts";
import type { ClusterTick } from "./cluster-tick.ts";
import type { CommonGateDeps } from "./common-gate.ts";
import { Lanes } from "./lane.ts";
import { launch } from "./launch.ts";
import { takeLockInTurn, watchForReplacement } from "./lock-turn.ts";
import { lastRankMs, RANK_STEP_MS, rankOf } from "./rank.ts";
import { postClusterVerdict, postVerdict } from "./verdicts.ts";

/** What `isOld` means for a read before the claim: somebody else may well have been here. */
const FRESH_MS = 100;
/** After the last rank's turn, before a tick that nobody takes gets its verdict. */
const VERDICT_SPARE_MS = 500;

export type ClusterGateDeps = CommonGateDeps & ClaimDeps;

export class ClusterGate {
  readonly #deps: ClusterGateDeps;
  readonly #lanes: Lanes;

  constructor(deps: ClusterGateDeps) {
    this.#deps = deps;
    this.#lanes = new Lanes(deps, {
      work: (tick) => this.#workHeld(tick),
      isolated: (tick) => postClusterVerdict(deps, tick.job, tick.ruleId, tick.dueMs, { type: "skipped", reason: "isolated" }),
    });
  }

  /** Ticks that wait for etcd. */
  get held(): number {
    return this.#lanes.size;
  }

  pass(job: Job, ruleId: string, dueMs: EpochMs, peers: readonly string[]): void {
    const prefer = job.rules.find((rule) => rule.id === ruleId)?.target.prefer ?? [];
    const rank = rankOf(this.#deps.nodeId, peers, prefer, job.key, dueMs);
    const ageMs = this.#deps.clock.now() - dueMs;
    const tick = { job, ruleId, dueMs, peers, rank, holdUntilMono: this.#deps.clock.mono() + job.holdForMs - Math.max(0, ageMs) };
    const waitMs = rank * RANK_STEP_MS - ageMs;
    if (rank === 0 || waitMs <= 0) void this.#compete(tick);
    else this.#deps.clock.after(waitMs, () => void this.#compete(tick));
  }

  async #compete(tick: ClusterTick): Promise<void> {
    const { job } = tick;
    try {
      if (!this.#isCurrent(tick)) return this.#leave(tick, "cancelled");
      if (this.#lanes.has(job.key)) return this.#lanes.join(tick) ? undefined : this.#leave(tick, "overlap");
      if (this.#deps.isDraining()) return this.#leave(tick, "drained");
      const active = job.kind === "interval" ? this.#deps.executions.of(job.key) : [];
      if (active.length > 0 && !(await this.#afterOverlap(tick, active))) return this.#leave(tick, "overlap");
      if (!(await this.#takeSlot(tick))) return this.#leave(tick, "capacity");
      const execution = this.#begin(tick);
      const result = await this.#claim(tick, execution, false);
      if (result.type === "busy" && (result.holder?.held || job.overlap !== "skip")) return this.#busy(tick, execution, result);
      if (result.type === "busy")
        this.#verdict(tick, {
          type: "skipped",
          reason: "overlap",
          detail: `execution ${result.holder?.execution} runs on ${result.holder?.node}`,
        });
      if (result.type !== "won") return this.#drop(execution);
      await this.#run(tick, execution, result);
    } catch (thrown) {
      this.#deps.log.error({ job: job.key, error: asError(thrown).message }, "cannot decide on a tick");
      if (!this.#lanes.join(tick)) this.#leave(tick, "isolated");
    }
  }

  /** The claim; when etcd is away the execution is given up again and the tick goes into its lane. */
  async #claim(tick: ClusterTick, execution: ActiveExecution, held: boolean): Promise<ClaimResult | { type: "held" }> {
    const { job, ruleId, dueMs } = tick;
    const { keys, clock } = this.#deps;
    const look = held || tick.rank > 0 || clock.now() - dueMs > FRESH_MS;
    try {
      await this.#deps.journal.committed();
      return await claimTick(this.#deps, {
        execution: execution.id,
        claimKey: keys.claim(job.group, job.id, ruleId, dueMs),
        lockKey: job.kind === "alone" ? keys.lock(job.group, job.id) : undefined,
        windowMs: job.misfireWindowMs,
        dueMs,
        look,
        held,
      });
    } catch (thrown) {
      this.#drop(execution);
      if (held) throw thrown;
      if (!isCode(thrown, "etcd/unreachable", "etcd/unknown-outcome", "etcd/lease-gone")) {
        this.#deps.log.error({ job: job.key, error: asError(thrown).message }, "cannot claim a tick");
      }
      if (!this.#lanes.join(tick)) this.#leave(tick, "isolated");
      return { type: "held" };
    }
  }

  /** The head of a lane: claim it and run it to its end, or find that somebody else did. */
  async #workHeld(tick: ClusterTick): Promise<"done" | "busy"> {
    if (!this.#isCurrent(tick)) {
      this.#leave(tick, "cancelled");
      return "done";
    }
    if (this.#deps.clock.now() - tick.dueMs > tick.job.misfireWindowMs) {
      this.#verdict(tick, { type: "missed", reason: "misfireWindow" });
      return "done";
    }
    if (this.#deps.executions.countOf(tick.job.key) > 0 || !this.#deps.slots.tryTake()) return "busy";
    const execution = this.#begin(tick);
    const result = await this.#claim(tick, execution, true);
    if (result.type !== "won") {
      this.#drop(execution);
      return result.type === "busy" ? "busy" : "done";
    }
    await this.#run(tick, execution, result);
    return "done";
  }

  /** `alone`, and the lock is taken: wait in line behind etcd's delays, or queue or replace as the job says. */
  async #busy(tick: ClusterTick, execution: ActiveExecution, result: ClaimResult & { type: "busy" }): Promise<void> {
    if (result.holder?.held) {
      this.#drop(execution);
      if (!this.#lanes.join(tick)) this.#leave(tick, "overlap");
      return;
    }
    this.#deps.slots.release();
    const turn = await takeLockInTurn(this.#deps, execution, tick).catch((thrown: unknown) => {
      this.#deps.log.warn({ job: tick.job.key, error: asError(thrown).message }, "cannot stand in line for a lock");
      return "unreachable" as const;
    });
    if (typeof turn === "string") {
      if (turn === "unreachable" && !this.#lanes.join(tick)) this.#leave(tick, "isolated");
      if (turn === "taken") this.#verdict(tick, { type: "skipped", reason: "overlap", detail: "another execution is queued already" });
      return this.#deps.executions.move(execution, "ended");
    }
    execution.lock = turn;
    execution.fence = turn.fence;
    await this.#deps.slots.take(new AbortController().signal);
    await this.#launch(execution);
  }

  async #launch(execution: ActiveExecution): Promise<void> {
    const stopWatching =
      execution.lock !== undefined && execution.job.overlap === "replace" ? watchForReplacement(this.#deps, execution) : undefined;
    await launch(this.#deps, execution);
    stopWatching?.();
  }

  #begin(tick: ClusterTick): ActiveExecution {
    return this.#deps.executions.begin(this.#deps.newId(), tick.job, { type: "tick", ruleId: tick.ruleId, dueMs: tick.dueMs });
  }

  /** The tick is ours: run it, unless its job has changed while we asked. */
  async #run(tick: ClusterTick, execution: ActiveExecution, result: ClaimResult & { type: "won" }): Promise<void> {
    execution.fence = result.fence;
    execution.lock = result.lock;
    if (this.#isCurrent(tick)) return this.#launch(execution);
    postVerdict(this.#deps, tick.job, execution.origin, { type: "skipped", reason: "cancelled" }, { lock: result.lock });
    this.#drop(execution);
  }

  /** Gives back a slot and an execution that came to nothing. */
  #drop(execution: ActiveExecution): void {
    if (execution.state === "ended") return;
    this.#deps.executions.move(execution, "ended");
    this.#deps.slots.release();
  }

  /** Interval jobs: what to do about an execution on this node; false leaves the tick to others. */
  async #afterOverlap(tick: ClusterTick, active: readonly ActiveExecution[]): Promise<boolean> {
    if (tick.job.overlap === "skip" || active.length > 1) return false;
    if (tick.job.overlap === "replace")
      for (const execution of active) execution.kill({ by: "fleetcron", reason: "replaced by a later execution" });
    await Promise.all(active.map((execution) => execution.ended));
    return this.#isCurrent(tick);
  }

  async #takeSlot(tick: ClusterTick): Promise<boolean> {
    if (this.#deps.slots.tryTake()) return true;
    const stop = new AbortController();
    const cancel = this.#deps.clock.after(tick.job.misfireWindowMs, () => stop.abort());
    const taken = await this.#deps.slots.take(stop.signal);
    cancel();
    return taken;
  }

  /** This node does not run the tick: once every peer had its turn, it gets a verdict, unless somebody has claimed it. */
  #leave(tick: ClusterTick, reason: SkipReason): void {
    const ageMs = this.#deps.clock.now() - tick.dueMs;
    const waitMs = lastRankMs(tick.peers) + VERDICT_SPARE_MS - ageMs;
    this.#deps.clock.after(waitMs, () => this.#verdict(tick, { type: "skipped", reason }));
  }

  #verdict(tick: ClusterTick, outcome: Outcome): void {
    postClusterVerdict(this.#deps, tick.job, tick.ruleId, tick.dueMs, outcome);
  }

  #isCurrent(tick: ClusterTick): boolean {
    return this.#deps.isCurrentJob(tick.job);
  }
}
