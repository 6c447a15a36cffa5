/**
 * Who decides whether a tick may run: takes what the plan says is due, in batches, and sends each tick through the gate of its kind.
 * Ranges of ticks that passed while nobody could fire them get their verdicts here. Etcd away: see the gates.
 */
import { asError, isCode } from "fleetcron-shared/base/errors";
import type { Job } from "fleetcron-shared/model/job";
import type { Outcome } from "fleetcron-shared/model/record";
import type { TickRange } from "../plan/misfire.ts";
import { jobOf, type PlannedJob, type PlannedRule } from "../plan/planned-job.ts";
import type { DueRule } from "../plan/planner.ts";
import { ClusterGate, type ClusterGateDeps } from "./cluster-gate.ts";
import { tellClusterRange } from "./cluster-range.ts";
import { passCommon } from "./common-gate.ts";
import { HeldCommon, type TickOrigin } from "./held-common.ts";
import { passInTurn } from "./in-turn.ts";
import { postVerdict } from "./verdicts.ts";

/** Jobs that fire often are not parsed each time. */
const PARSED_JOBS = 2000;
const HOLD_SPARE_MS = 5000;
const RETRY_RANGE_MS = 5000;

type Parsed = ReturnType<typeof jobOf>;

export class Gate {
  readonly #deps: ClusterGateDeps;
  readonly #cluster: ClusterGate;
  readonly #heldCommon: HeldCommon;
  readonly #parsed = new Map<PlannedJob, Parsed>();

  constructor(deps: ClusterGateDeps) {
    this.#deps = deps;
    this.#cluster = new ClusterGate(deps);
    this.#heldCommon = new HeldCommon(deps);
  }

  get held(): number {
    return this.#cluster.held + this.#heldCommon.size;
  }

  pass(due: readonly DueRule[]): void {
    for (const item of due) {
      try {
        this.#passRule(item);
      } catch (thrown) {
        this.#deps.log.error({ job: item.job.key, rule: item.rule.id, error: asError(thrown).message }, "a due rule cannot be handled");
      }
    }
  }

  #passRule(item: DueRule): void {
    const { job, dispatch } = this.#parse(item.job);
    if (item.missed) this.#range(job, item.rule, item.missed, { type: "missed", reason: "misfireWindow" });
    if (item.skipped) this.#range(job, item.rule, item.skipped, { type: "skipped", reason: "misfireSkip" });
    const inTurn = job.misfire === "all" && item.fire.length > 1;
    if (job.kind !== "common") {
      const peers = dispatch.rules[item.rule.id] ?? [];
      if (inTurn) void this.#cluster.passInTurn(job, item.rule.id, item.fire, peers);
      else for (const dueMs of item.fire) this.#cluster.pass(job, item.rule.id, dueMs, peers);
    } else if (inTurn) this.#oneAfterAnother(job, item);
    else for (const dueMs of item.fire) this.#passCommon(job, { type: "tick", ruleId: item.rule.id, dueMs }, undefined);
  }

  #passCommon(job: Job, origin: TickOrigin, execution: string | undefined): void {
    if (!this.#heldCommon.takes(job, origin, execution)) passCommon(this.#deps, job, origin, { execution });
  }

  /** `misfire: all`: every passed tick runs. */
  #oneAfterAnother(job: Job, item: DueRule): void {
    const waiting = item.fire.map((dueMs) => {
      const origin: TickOrigin = { type: "tick", ruleId: item.rule.id, dueMs };
      const execution = this.#deps.newId();
      this.#deps.executions.note(execution, job, origin);
      return { execution, origin };
    });
    void passInTurn(this.#deps, job, waiting, ({ execution, origin }) => {
      if (origin.type === "tick") this.#passCommon(job, origin, execution);
    });
  }

  #range(job: Job, rule: PlannedRule, range: TickRange, outcome: Outcome): void {
    if (job.kind === "common")
      return postVerdict(this.#deps, job, { type: "tick", ruleId: rule.id, dueMs: range.firstMs }, outcome, { range });
    // Other nodes may have run these ticks or may still be holding them: look when that is over.
    if (rule.when.type !== "instants") return;
    const passed = { job, ruleId: rule.id, instants: rule.when.instants, range, outcome };
    const look = (waitMs: number) =>
      this.#deps.clock.after(waitMs, () => {
        void tellClusterRange(this.#deps, passed).catch((thrown: unknown) => {
          if (isCode(thrown, "etcd/lease-gone")) this.#deps.leases.forget();
          this.#deps.log.warn({ job: job.key, error: asError(thrown).message }, "cannot tell yet which passed ticks were claimed");
          if (!isCode(thrown, "etcd/closed")) look(RETRY_RANGE_MS);
        });
      });
    look(job.holdForMs + HOLD_SPARE_MS);
  }

  #parse(planned: PlannedJob): Parsed {
    const known = this.#parsed.get(planned);
    if (known !== undefined) return known;
    const parsed = jobOf(planned.key, planned.text);
    if (this.#parsed.size >= PARSED_JOBS) {
      const [oldest] = this.#parsed.keys();
      if (oldest !== undefined) this.#parsed.delete(oldest);
    }
    this.#parsed.set(planned, parsed);
    return parsed;
  }
}
