/**
 * The words of the checker: what had to happen (targets), what the processes themselves witnessed (runs), what the system says (verdicts), and what
 * is wrong with them (findings). Plain data; who makes a history of files, of a simulation or of etcd does not matter to the checks.
 */
import type { EpochMs } from "../base/clock.ts";

/** What must have happened once: a tick of an `interval` or `alone` rule, or a tick of a `common` rule on one node. */
export type Target = {
  /** `group/id`. */
  readonly job: string;
  readonly rule: string;
  readonly dueMs: EpochMs;
  /** `common` only. */
  readonly node?: string;
  /** A run that begins before it is early; default: `dueMs`. For hosts whose clocks were moved. */
  readonly earliestMs?: EpochMs;
  /** A run that begins after it is late. */
  readonly latestMs: EpochMs;
  /** Further attempts that are allowed; default 0. */
  readonly retries?: number;
  /** `onNodeLost: rerun`: other executions are allowed, each of which goes on with the attempts after those of the one before. */
  readonly rerun?: boolean;
  /** It may run and need not: a tick around an edit or a pause, which nodes hear of at different instants. At most once holds for it. */
  readonly optional?: boolean;
};

/** One attempt, as the process itself witnessed it (tests: what commands wrote; production: records that ran). */
export type Run = {
  readonly job: string;
  readonly rule?: string;
  /** Of the tick. Without it, and not `ordered`, the run is matched to a target by its begin. */
  readonly dueMs?: EpochMs;
  readonly node: string;
  readonly execution: string;
  readonly attempt: number;
  readonly beginMs: EpochMs;
  /** Absent: it has not come to its end by itself (it was killed, or still runs). The last sign of life may stand here, without an exit code. */
  readonly endMs?: EpochMs;
  readonly exitCode?: number;
  readonly fence?: number;
  /** Asked for by an order or a pipeline: no tick's run, but exclusion and truth hold for it. */
  readonly ordered?: boolean;
};

/** What the system says of a tick or of an attempt: a filed record, reduced. */
export type Verdict = {
  readonly job: string;
  readonly rule?: string;
  readonly dueMs?: EpochMs;
  /** Of a range: its last tick. */
  readonly dueUntilMs?: EpochMs;
  readonly node: string;
  readonly execution: string;
  readonly attempt: number;
  /** No other attempt of the execution follows. */
  readonly final: boolean;
  /** The undertaker's, until the node's own replaces it. */
  readonly provisional: boolean;
  /** `outcomeWord` of the record: `exit:0`, `skipped:overlap`, `lost:nodeGone` … */
  readonly outcome: string;
  /** It says that a process was started. */
  readonly ran: boolean;
  readonly exitCode?: number;
  readonly beginMs?: EpochMs;
  readonly endMs?: EpochMs;
};

/** A tick of which a claim, a process or a node that is away may still tell. */
export type Pending = {
  readonly job: string;
  readonly rule: string;
  readonly dueMs: EpochMs;
  readonly node?: string;
};

export type History = {
  readonly targets: readonly Target[];
  readonly runs: readonly Run[];
  readonly verdicts: readonly Verdict[];
  /** Jobs of kind `alone`. */
  readonly exclusive: ReadonlySet<string>;
  readonly pending?: readonly Pending[];
  /** The span that `targets` are complete for, [fromMs, untilMs). Runs and verdicts of ticks outside it are not judged by targets. Absent: all are. */
  readonly span?: { readonly fromMs: EpochMs; readonly untilMs: EpochMs };
  /** Clocks of nodes differ by at most this: overlaps between nodes that are no longer are not told. Default 0. */
  readonly skewMs?: number;
  readonly pipelines?: PipelineHistory;
};

/** One task of a pipeline's run as it was planned: it begins only after the others have ended. */
export type PlannedTask = { readonly run: string; readonly task: string; readonly needs: readonly string[] };

/** What the command of one task's attempt witnessed on one node. */
export type TaskEvidence = {
  readonly run: string;
  readonly task: string;
  readonly attempt: number;
  readonly node: string;
  readonly beginMs: EpochMs;
  /** Absent: it did not come to its end by itself. */
  readonly endMs?: EpochMs;
  readonly exitCode?: number;
};

/** What a run's document says of a task: its newest attempt. */
export type TaskVerdict = {
  readonly run: string;
  readonly task: string;
  readonly attempt: number;
  /** A `TaskState`: `succeeded`, `failed`, `cancelled`, `skipped`, or one that is no end. */
  readonly state: string;
  /** Nodes where a process was started; absent: the document does not say. */
  readonly nodes?: readonly string[];
};

export type PipelineHistory = {
  readonly tasks: readonly PlannedTask[];
  readonly evidence: readonly TaskEvidence[];
  readonly verdicts: readonly TaskVerdict[];
};

/**
 * - `silent`: a tick without any verdict; `unfinished`: its attempts stop before the last one; `doubleVerdict`: it has more than one verdict
 * - `missed`, `lost`: its verdict says that it did not run, or that nobody knows how it ended (not told by `check`: the caller decides what is explained)
 * - `duplicate`: a tick ran in two executions, an attempt twice, or more attempts than are allowed; `extra`: a run or verdict of a tick that is none
 * - `early`, `late`: it began outside its window
 * - `overlap`: two runs of a job of kind `alone` at once; `fence`: a later one without a greater fence
 * - `contradiction`: a verdict says that it ran and it did not, or the other way round; `untrue`: they ended in different ways; `untold`: a run without a record
 * - `taskTwice`, `taskEarly`, `taskState`: of a pipeline
 */
export const FINDING_KINDS = [
  "silent",
  "unfinished",
  "doubleVerdict",
  "missed",
  "lost",
  "duplicate",
  "extra",
  "early",
  "late",
  "overlap",
  "fence",
  "contradiction",
  "untrue",
  "untold",
  "taskTwice",
  "taskEarly",
  "taskState",
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

/** `text` says what, where and when, for people. */
export type Finding = {
  readonly kind: FindingKind;
  /** `group/id`; of a pipeline: the run. */
  readonly job: string;
  readonly rule?: string;
  readonly dueMs?: EpochMs;
  readonly text: string;
};
