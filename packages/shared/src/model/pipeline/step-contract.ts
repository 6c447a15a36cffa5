/** A run that things happen to, with a node that does what it is told: for the tests of the engine. */
import { isCode } from "../../base/errors.ts";
import type { PipelineSpec, TaskSpec } from "./pipeline-spec.ts";
import { makePlan } from "./plan.ts";
import { newRun, type RunDocument, type TaskState } from "./run-document.ts";
import { type RunEvent, type Step, step } from "./step.ts";

export const T0 = Date.UTC(2027, 0, 1);
export const MINUTE = 60_000;
const job = { run: { command: { script: "true" } } };
export const task = (name: string, more: Partial<TaskSpec> = {}): TaskSpec => ({ name, job, ...more });

/** Something that happens, without the time. */
type Happens = RunEvent extends infer E ? (E extends RunEvent ? Omit<E, "nowMs"> : never) : never;

/** A run that things happen to, with a node that does what it is told. */
export function begin(spec: PipelineSpec, values: Record<string, string> = {}) {
  const made = makePlan({
    ...{ run: "r1", group: "g", id: "p", revision: 7, updatedAt: "2027-01-01T00:00:00.000Z", spec, values, labels: {} },
    ...{ jobOf: () => undefined, jobKeys: () => [] },
  });
  if (!("plan" in made)) throw new Error(JSON.stringify(made.issues));
  const { plan } = made;
  let run: RunDocument = newRun(plan, { by: "ann", trigger: "manual", at: new Date(T0).toISOString() });
  let nowMs = T0;
  const effects: Step["effects"][number][] = [];
  const self = {
    plan,
    effects,
    get run() {
      return run;
    },
    do(event: Happens): boolean {
      const done = step(plan, run, { ...event, nowMs } as RunEvent);
      const changed = done.run !== run;
      run = done.run;
      effects.push(...done.effects);
      return changed;
    },
    wait: (ms: number) => {
      nowMs += ms;
      return self.do({ type: "tick" });
    },
    states: () => Object.fromEntries(Object.entries(run.tasks).map(([name, { state }]) => [name, state])) as Record<string, TaskState>,
    execution: (name: string, node = "n1") => `${name}-${run.tasks[name]?.attempt}-${node}`,
    /** Chooses nodes, sends the orders. */
    order(name: string, nodes: readonly string[] = ["n1"], tokenHash?: string) {
      const attempt = run.tasks[name]?.attempt ?? 0;
      const instances = nodes.map((node) => ({ node, execution: self.execution(name, node) }));
      self.do({ type: "placed", task: name, attempt, instances });
      self.do({ type: "ordered", task: name, attempt, executions: instances.map(({ execution }) => execution), tokenHash });
    },
    end(name: string, success = true, more: { node?: string; outputs?: Record<string, string>; ran?: boolean; message?: string } = {}) {
      const { node = "n1", ran = true, message = success ? "" : "exit:1", outputs } = more;
      return self.do({
        type: "ended",
        task: name,
        attempt: run.tasks[name]?.attempt ?? 0,
        execution: self.execution(name, node),
        success,
        ran,
        message,
        outputs,
      });
    },
    /** Orders and ends a task. */
    through(name: string, success = true, outputs?: Record<string, string>) {
      self.order(name);
      self.end(name, success, outputs === undefined ? {} : { outputs });
    },
    decide: (kind: "audit" | "confirm", name: string, verdict: "yes" | "no", by: string, comment = "") =>
      self.do({ type: "decide", kind, task: name, verdict, by, comment }),
    refused: (event: Happens) => {
      try {
        self.do(event);
        return "done";
      } catch (error) {
        return isCode(error, "pipeline/not-now", "pipeline/decided", "pipeline/no-task", "auth/denied", "input/invalid")
          ? error.code
          : error;
      }
    },
  };
  self.do({ type: "start" });
  return self;
}
