/**
 * What an earlier agent process of this node left in its journal. A process that runs is taken over, and so is the end of one that has ended meanwhile; a wait for
 * the next attempt goes on; what was claimed and not started is started now, unless others may have taken it for lost. What went with the host or with its
 * spawner gets the record `lost`: no tick stays without a verdict. A tick that was merely about to be claimed is looked up first: it may belong to another node,
 * or to none. This decides what becomes of each; fire/resume.ts carries it out.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Claim } from "fleetcron-shared/model/facts";
import type { Job, JobSource } from "fleetcron-shared/model/job";
import { compileJob } from "fleetcron-shared/model/job-compile";
import { type LostWhy, outcomeWord } from "fleetcron-shared/model/record";
import type { Kv } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Outbox } from "../report/outbox.ts";
import type { ExecutionTrace } from "./execution.ts";
import type { ActiveExecution, Executions } from "./executions.ts";
import type { Journal } from "./journal.ts";
import { type PrepareDeps, sessionStart, watchSpec } from "./prepare.ts";
import { type Host, recordOf } from "./record.ts";
import type { Running, Supervisor } from "./supervisor.ts";

/** The class of lease under the verdict on a tick that nobody claimed. */
const CLAIM_WINDOW_MS = 3_600_000;
const HOLD_SPARE_MS = 5000;
/** So long an `alone` process that agent and spawner left together may go on until its lock is carried over (fire/resume.ts). */
const CARRY_WITHIN_MS = 3000;
/** After a longer absence the others may have taken what this node had claimed for lost, and have run it elsewhere (`lostAfter` of the master). */
const RESUME_WITHIN_MS = 30_000;

export type RecoverDeps = PrepareDeps & {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly log: Log;
  readonly keys: Keys;
  readonly journal: Journal;
  readonly outbox: Outbox;
  readonly executions: Executions;
  readonly supervisor: Supervisor;
  readonly host: Host;
  readonly bootId: string;
  /** How long no agent of this node was there. */
  readonly absenceMs: number;
};

/** What goes on: with `running` a process, else a wait, or a start that is still to be made (state `claimed`). */
export type Resumed = { readonly execution: ActiveExecution; readonly running: Running | undefined };

export async function recoverExecutions(deps: RecoverDeps): Promise<Resumed[]> {
  const resumed: Resumed[] = [];
  for (const row of deps.journal.executions()) {
    try {
      const source = JSON.parse(row.job) as JobSource;
      const one = await recover(deps, row.id, compileJob(source.meta, source.spec), JSON.parse(row.data) as ExecutionTrace);
      if (one !== undefined) resumed.push(one);
    } catch (thrown) {
      deps.log.error({ execution: row.id, error: asError(thrown).message }, "an execution of the journal cannot be understood");
    }
  }
  deps.journal.commit();
  return resumed;
}

async function recover(deps: RecoverDeps, id: string, job: Job, trace: ExecutionTrace): Promise<Resumed | undefined> {
  if (trace.state === "running") {
    const { attempt, origin, fence, doneHosts = [] } = trace;
    const watch =
      job.run.command === undefined
        ? sessionStart(deps, { id, job, origin, attempt, fence, doneHosts })
        : watchSpec(job, id, attempt, deps.execDir);
    const deadline = trace.lock === undefined ? {} : { deadlineMono: deps.clock.mono() + CARRY_WITHIN_MS };
    const running = deps.supervisor.resume({ ...watch, ...deadline });
    if (running === "reboot") return lose(deps, id, job, trace, "reboot");
    if (running !== undefined) return { execution: deps.executions.restore(id, job, trace), running };
    if (trace.bootId !== deps.bootId) return lose(deps, id, job, trace, "reboot");
    if (trace.pid !== undefined) return lose(deps, id, job, trace, "supervisor");
  }
  const owner = await ownerOf(deps, id, job, trace);
  if (owner === "other") deps.journal.removeExecution(id);
  if (owner === "nobody") verdictLater(deps, id, job, trace);
  if (owner !== "ours") return undefined;
  const isTooLate = job.kind !== "common" && deps.absenceMs > RESUME_WITHIN_MS;
  if (isTooLate) return lose(deps, id, job, trace, trace.bootId === deps.bootId ? "agentStopped" : "reboot");
  // No spawner ever got it: it has not begun, whatever the journal says.
  const state = trace.state === "waiting" ? "waiting" : "claimed";
  return { execution: deps.executions.restore(id, job, { ...trace, state }), running: undefined };
}

function lose(deps: RecoverDeps, id: string, job: Job, trace: ExecutionTrace, why: LostWhy): undefined {
  // The attempt before a retry delay has its record already; lost is the one that would have followed.
  const attempt = trace.state === "waiting" ? trace.attempt + 1 : trace.attempt;
  deps.outbox.post({ record: lostRecord(deps, id, job, { ...trace, attempt }, why), lock: trace.lock });
  deps.journal.removeExecution(id);
  deps.log.warn({ execution: id, job: job.key, state: trace.state, why }, "an execution was lost");
  return undefined;
}

function lostRecord(deps: RecoverDeps, execution: string, job: Job, trace: ExecutionTrace, why: LostWhy) {
  const { origin, attempt, fence, beginMs, pid } = trace;
  const outcome = { type: "lost", why } as const;
  const endMs = deps.clock.now();
  return recordOf(deps.host, { execution, job, origin, attempt, fence, beginMs, pid, finalAttempt: true, outcome, success: false, endMs });
}

/** Nobody has the tick so far, but other nodes may be holding it: once that is over it has its verdict, unless it is claimed by then. */
function verdictLater(deps: RecoverDeps, execution: string, job: Job, trace: ExecutionTrace): void {
  const { ruleId = "", dueMs = 0 } = trace.origin;
  const record = lostRecord(deps, execution, job, trace, "agentStopped");
  const key = deps.keys.claim(job.group, job.id, ruleId, dueMs);
  deps.clock.after(dueMs + job.holdForMs + HOLD_SPARE_MS - deps.clock.now(), () => {
    deps.outbox.post({ record, claim: { key, windowMs: CLAIM_WINDOW_MS, verdict: outcomeWord(record.outcome) } });
    deps.journal.removeExecution(execution);
  });
}

/** Whose tick it was: only one of a cluster-wide job that was about to be claimed can be somebody else's, or nobody's. */
async function ownerOf(deps: RecoverDeps, execution: string, job: Job, trace: ExecutionTrace): Promise<"ours" | "other" | "nobody"> {
  const { type, ruleId, dueMs } = trace.origin;
  if (trace.state !== "claimed" || job.kind === "common" || type === "order" || ruleId === undefined || dueMs === undefined) return "ours";
  const key = deps.keys.claim(job.group, job.id, ruleId, dueMs);
  const found = await deps.kv.get(key);
  if (found === undefined) return "nobody";
  return tryDecode<Claim>(key, found.value)?.execution === execution ? "ours" : "other";
}
