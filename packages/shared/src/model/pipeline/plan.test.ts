import test from "ava";
import type { JobSpec } from "../job-spec.ts";
import type { PipelineSpec } from "./pipeline-spec.ts";
import { makePlan, type PlannedJob, resolveTask } from "./plan.ts";

const AT = "2027-01-01T00:00:00.000Z";
const spec: JobSpec = { run: { command: { script: "true" } }, rules: [{ mode: "manyonce" }], params: [{ name: "KEY", type: "secret" }] };
const jobs: Record<string, PlannedJob> = {
  "db/dump": { group: "db", id: "dump", revision: 12, createdAt: AT, updatedAt: AT, submittedAt: AT, spec },
};

function plan(pipeline: PipelineSpec, values: Record<string, string> = {}) {
  const made = makePlan({
    ...{ run: "r", group: "web", id: "p", revision: 7, updatedAt: AT, spec: pipeline, values, labels: { env: "prod" } },
    ...{ jobOf: (key: string) => jobs[key], jobKeys: () => Object.keys(jobs) },
  });
  return "plan" in made
    ? made.plan
    : made.issues.map(({ path, message, hint }) => `${path}: ${message}${hint === undefined ? "" : ` (${hint})`}`);
}

test("a plan holds the jobs as they are, inline ones under a name of their own, and the run's labels over the pipeline's", (t) => {
  const made = plan({
    labels: { env: "test", team: "web" },
    tasks: [
      { name: "last", job: { run: { command: { script: "x" } } }, needs: ["first"] },
      { name: "first", job: "db/dump@12" },
    ],
  });
  if (Array.isArray(made)) return t.fail(made.join());
  t.deepEqual(
    made.tasks.map(({ name, job, needs, after }) => [name, job, needs, after]),
    [
      ["first", "db/dump", [], 0],
      ["last", "web/p.last", [0], 0],
    ],
  );
  t.deepEqual(made.labels, { env: "prod", team: "web" });
  t.deepEqual(made.jobs["web/p.last"], {
    ...{ group: "web", id: "p.last", revision: 7, createdAt: AT, updatedAt: AT, submittedAt: AT },
    spec: { run: { command: { script: "x" } }, rules: [] },
  });
  t.is(made.jobs["db/dump"]?.revision, 12);
});

test("what keeps a run from being started is told: jobs that are not there or changed, params, secrets of others", (t) => {
  t.deepEqual(plan({ tasks: [{ name: "a", job: "db/dumb" }] }), [
    'pipelines.web/p.tasks[0].job: there is no job db/dumb (did you mean "db/dump"?)',
  ]);
  t.deepEqual(plan({ tasks: [{ name: "a", job: "db/dump@11" }] }), [
    "pipelines.web/p.tasks[0].job: the job db/dump is at revision 12, not 11 (name its present revision, or none)",
  ]);
  t.deepEqual(plan({ tasks: [{ name: "a", job: "db/dump", params: { KEI: "x" } }] }), [
    'pipelines.web/p.tasks[0].params.KEI: neither the job nor the pipeline declares this param (did you mean "KEY"?)',
  ]);
  t.deepEqual(plan({ tasks: [{ name: "a", job: "db/dump", params: { KEY: "token" } }] }), [
    "task a: params.KEY: a job of the group db may not use the secret web/token",
  ]);
  t.deepEqual(plan({ params: [{ name: "V", required: true }], tasks: [{ name: "a", job: "db/dump" }] }), [
    "params.V: is required and has no value",
  ]);
});

test("a secret is named in full, and scopes bound who sees a param", (t) => {
  const made = plan(
    {
      params: [
        { name: "KEY", type: "secret" },
        { name: "ONLY", value: "1", scope: { tasks: ["b"] } },
      ],
      tasks: [
        { name: "a", job: { run: { command: { script: "x" } } } },
        { name: "b", job: { run: { command: { script: "x" } } } },
      ],
    },
    { KEY: "token" },
  );
  if (Array.isArray(made)) return t.fail(made.join());
  const values = made.tasks.map((task) => resolveTask(made, task, {}).params.map(({ name, value }) => `${name}=${value}`));
  t.deepEqual(values, [["KEY=web/token"], ["KEY=web/token", "ONLY=1"]]);
});
