/**
 * What had to happen in a simulated world, from the forms of its jobs, as targets of the checker. A tick that falls between an edit and the moment when all who
 * run the job knew of it may be handled by either form or by none: it may be told of, and need not.
 */
import type { History, PipelineHistory, Run, Target, Verdict } from "fleetcron-shared/check/history";
import type { Job } from "fleetcron-shared/model/job";
import { compileJob } from "fleetcron-shared/model/job-compile";
import { didRun, type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import { createTimetable } from "../../packages/master/src/timetable.ts";
import type { SimHost } from "./host.ts";
import type { JobForm, Ledger } from "./ledger.ts";
import { EPOCH_MS } from "./process.ts";

/** Beyond its misfire window and the wait for etcd, a tick may wait for the one before it and for a slot (each as long), and be run again elsewhere. */
const SPARE_MS = 60 * 60_000;
/** Clocks are read, and messages are under way. */
const EDGE_MS = 2000;
/** Turns of the nodes, a request or two. */
const PROMPT_MS = 2000;
/** A tick that finds its lock taken says so after so long. */
const JUDGED_MS = 3000;

/** `superseded`: silent ticks whose job was changed within the hour after. The present form does not look back, and only an auditor tells of them. */
export type Truth = {
  readonly history: History;
  readonly superseded: ReadonlySet<Target>;
  /** Ticks that begin at once unless something is wrong or the one before still runs, with the instant until which that is. */
  readonly prompt: ReadonlyMap<Target, number>;
};

export function truthOf(ledger: Ledger, hosts: readonly SimHost[]): Truth {
  const runs = hosts.flatMap(({ evidence }) => evidence.map(runOf));
  const verdicts = [...ledger.records.values()].map(verdictOf);
  const targets: Target[] = [];
  const superseded = new Set<Target>();
  const prompt = new Map<Target, number>();
  const exclusive = new Set<string>();
  for (const [key, forms] of ledger.forms) {
    const known = new Map<string, Possible>();
    forms.forEach((form, index) => {
      // What is lost is run again if the job asks for it by then.
      const rerun = forms.slice(index).some(({ stored }) => stored?.spec.onNodeLost === "rerun") ? { rerun: true } : {};
      for (const { target, ...more } of targetsOf(ledger, hosts, key, form, forms[index + 1])) {
        const { rule, dueMs, node = "" } = target;
        const id = `${rule} ${dueMs} ${node}`;
        known.set(id, merge(known.get(id), { target: { ...target, ...rerun }, ...more }));
      }
      if (form.stored?.spec.kind === "alone") exclusive.add(key);
    });
    for (const { target, isLastForm, promptUntilMs } of known.values()) {
      targets.push(target);
      if (promptUntilMs !== undefined && target.optional !== true) prompt.set(target, promptUntilMs);
      if (!isLastForm) superseded.add(target);
    }
  }
  return { history: { targets, runs, verdicts, exclusive, pipelines: pipelinesOf(ledger, hosts) }, superseded, prompt };
}

/** A tick that several forms of a job have: any of them may have handled it. */
function merge(before: Possible | undefined, one: Possible): Possible {
  if (before === undefined) return one;
  const [a, b] = [before.target, one.target];
  const { optional: _, ...both } = a;
  const target: Target = {
    ...both,
    earliestMs: Math.min(a.earliestMs ?? a.dueMs, b.earliestMs ?? b.dueMs),
    latestMs: Math.max(a.latestMs, b.latestMs),
    retries: Math.max(a.retries ?? 0, b.retries ?? 0),
    ...(a.rerun === true || b.rerun === true ? { rerun: true } : {}),
    ...(a.optional === true && b.optional === true ? { optional: true } : {}),
  };
  return { target, isLastForm: before.isLastForm && one.isLastForm, promptUntilMs: undefined };
}

type Possible = { readonly target: Target; readonly isLastForm: boolean; readonly promptUntilMs: number | undefined };

function* targetsOf(ledger: Ledger, hosts: readonly SimHost[], key: string, form: JobForm, next: JobForm | undefined): Generator<Possible> {
  const { stored } = form;
  if (stored === undefined || stored.spec.pause === true) return;
  const job = compileJob({ ...stored, revision: form.revision }, stored.spec);
  const timetable = createTimetable("UTC");
  for (const rule of job.rules) {
    const nodes = hosts.filter(({ id }) => rule.target.nodes.length === 0 || rule.target.nodes.includes(id));
    const times = timetable.of(job, rule);
    const fromMs = EPOCH_MS + form.fromMs;
    const endMs = next === undefined ? Number.POSITIVE_INFINITY : EPOCH_MS + next.fromMs;
    const most = Math.max(...nodes.map(({ offsets }) => offsets.most), 0);
    const least = Math.min(...nodes.map(({ offsets }) => offsets.least), 0);
    const knewAt = (node: string, revision: number) => EPOCH_MS + (ledger.knewAt(node, key, revision) ?? Number.POSITIVE_INFINITY);
    const knew = new Map(nodes.map(({ id }) => [id, knewAt(id, form.revision)]));
    const allKnew = Math.max(...knew.values());
    // Who does not know the next form yet goes by this one; the master that has made it may be ahead.
    const stop =
      next === undefined
        ? endMs
        : Math.max(...hosts.map(({ id }) => Math.min(knewAt(id, next.revision), endMs + 3_600_000))) + Math.max(most, EDGE_MS);
    for (let dueMs = times.nextAfter(fromMs - 120_000); dueMs !== undefined && dueMs < stop; dueMs = times.nextAfter(dueMs)) {
      if (next === undefined) throw new Error("the last form of a job must be a pause");
      const isCertainOf = (known: number) => dueMs - EDGE_MS > known + most && dueMs + EDGE_MS < endMs + least;
      const common = { job: key, rule: rule.id, dueMs, ...windowOf(job, dueMs, rule.jitterMs, most, least) };
      const isLastForm = dueMs + 3_600_000 < endMs;
      const promptUntilMs = dueMs - least + rule.jitterMs + PROMPT_MS;
      const isPrompt = job.overlap === "skip" && job.misfire !== "all" && promptUntilMs + JUDGED_MS < endMs;
      const possible = (known: number, more: { node?: string }): Possible => ({
        target: { ...common, ...more, ...(isCertainOf(known) ? {} : { optional: true }) },
        isLastForm,
        promptUntilMs: isPrompt ? promptUntilMs : undefined,
      });
      if (job.kind !== "common") yield possible(allKnew, {});
      else for (const { id } of nodes) yield possible(knew.get(id) ?? Number.POSITIVE_INFINITY, { node: id });
    }
  }
}

function windowOf(job: Job, dueMs: number, jitterMs: number, most: number, least: number) {
  return {
    earliestMs: dueMs - most - 5,
    latestMs: dueMs - least + jitterMs + job.misfireWindowMs + job.holdForMs + SPARE_MS,
    retries: job.retry.limit,
  };
}

function runOf(evidence: SimHost["evidence"][number]): Run {
  const { env, node, execution, attempt, beginMs, endMs, exitCode } = evidence;
  const fence = env.FLEETCRON_FENCE;
  return {
    job: `${env.FLEETCRON_GROUP}/${env.FLEETCRON_JOB}`,
    ...{ node, execution, attempt, beginMs },
    ...(env.FLEETCRON_DUE === undefined ? { ordered: true } : { rule: env.FLEETCRON_RULE ?? "r1", dueMs: Date.parse(env.FLEETCRON_DUE) }),
    ...(endMs === undefined ? {} : { endMs }),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(fence === undefined ? {} : { fence: Number(fence) }),
  };
}

/** Begin and end are left out: they are by clocks that were moved. */
function verdictOf(record: ExecutionRecord): Verdict {
  const { ruleId, dueAt, dueUntil, outcome } = record;
  return {
    job: `${record.jobGroup}/${record.jobId}`,
    ...(ruleId === undefined ? {} : { rule: ruleId }),
    ...(dueAt === undefined ? {} : { dueMs: Date.parse(dueAt) }),
    ...(dueUntil === undefined ? {} : { dueUntilMs: Date.parse(dueUntil) }),
    ...{ node: record.nodeId, execution: record.execution, attempt: record.attempt, final: record.finalAttempt },
    provisional: record.provisional === true,
    outcome: outcomeWord(outcome),
    ran: didRun(outcome),
    ...(outcome.type === "exit" ? { exitCode: outcome.code } : {}),
  };
}

function pipelinesOf(ledger: Ledger, hosts: readonly SimHost[]): PipelineHistory {
  const tasks = ledger.plans.flatMap((plan) =>
    plan.tasks.map(({ name, needs }) => ({ run: plan.run, task: name, needs: needs.flatMap((need) => plan.tasks[need]?.name ?? []) })),
  );
  const evidence = hosts.flatMap((host) =>
    host.evidence.flatMap(({ execution, node, beginMs, endMs, exitCode }) => {
      const order = ledger.taskOrders.get(execution);
      if (order === undefined) return [];
      const end = { ...(endMs === undefined ? {} : { endMs }), ...(exitCode === undefined ? {} : { exitCode }) };
      return [{ run: order.run, task: order.task, attempt: order.attempt, node, beginMs, ...end }];
    }),
  );
  const verdicts = [...ledger.runs.values()].flatMap((run) =>
    Object.entries(run.tasks).map(([task, { attempt, state, instances = [] }]) => {
      const nodes = instances.filter(({ ran }) => ran === true).map(({ node }) => node);
      return { run: run.id, task, attempt, state, nodes };
    }),
  );
  return { tasks, evidence, verdicts };
}
