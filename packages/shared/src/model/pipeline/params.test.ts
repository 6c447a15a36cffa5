import test from "ava";
import type { JobSpec } from "../job-spec.ts";
import { checkRunValues, type ParamSources, renderJob, resolve } from "./params.ts";

const NONE: ParamSources = { job: [], pipeline: [], task: {}, run: {}, outputs: {} };
const words = (sources: Partial<ParamSources>) => {
  const { params, issues } = resolve({ ...NONE, ...sources });
  return {
    values: Object.fromEntries(params.map(({ name, value, level }) => [name, `${value} (${level})`])),
    issues: issues.map(({ path, message }) => `${path} ${message}`),
  };
};

test("five levels, the higher wins, and an empty value never does", (t) => {
  const job = [{ name: "A", value: "job" }];
  const pipeline = [{ name: "A", value: "pipeline" }];
  t.deepEqual(words({ job }).values, { A: "job (job)" });
  t.deepEqual(words({ job, pipeline }).values, { A: "pipeline (pipeline)" });
  t.deepEqual(words({ job, pipeline, task: { A: "task" } }).values, { A: "task (task)" });
  t.deepEqual(words({ job, pipeline, task: { A: "task" }, run: { A: "run" } }).values, { A: "run (run)" });
  t.deepEqual(words({ job, pipeline, task: { A: "task" }, run: { A: "run" }, outputs: { A: "out" } }).values, { A: "out (output)" });
  t.deepEqual(words({ job, pipeline: [{ name: "A", value: "" }], task: { A: "" }, run: { A: "" }, outputs: { A: "" } }).values, {
    A: "job (job)",
  });
});

test("below all five, ${name} finds a global where nothing else has that name", (t) => {
  const job = [{ name: "A" }];
  const globals = { G: "global" };
  const a = (more: Partial<ParamSources>) => words({ job, task: { A: "${G}" }, globals, ...more }).values.A;
  t.is(a({}), "global (task)");
  t.is(a({ pipeline: [{ name: "G" }] }), "global (task)", "an empty value replaces nothing");
  t.is(a({ pipeline: [{ name: "G", value: "pipeline" }] }), "pipeline (task)");
  t.is(a({ pipeline: [{ name: "G" }], run: { G: "run" } }), "run (task)");
  t.is(a({ outputs: { G: "out" } }), "out (task)");
  t.is(a({ pipeline: [{ name: "G", type: "secret" }] }), " (job)", "it is no name of a secret");
  t.deepEqual(words({ job: [{ name: "G" }], globals }).values, { G: " (job)" }, "nothing is worked in that does not name it");
});

test("read-only holds against every higher level, but for an output that happens to have its name", (t) => {
  const job = [{ name: "A", value: "fixed", readOnly: true }];
  t.deepEqual(words({ job, task: { A: "x" } }).issues, ['params.A is read-only with the value "fixed"; the task may not set it']);
  t.deepEqual(words({ job, pipeline: [{ name: "A" }], run: { A: "x" } }).issues, [
    'params.A is read-only with the value "fixed"; the run may not set it',
  ]);
  t.deepEqual(words({ job, outputs: { A: "x" } }), { values: { A: "fixed (job)" }, issues: [] });
  t.deepEqual(
    words({ job: [{ name: "A", readOnly: true }], task: { A: "once" } }),
    { values: { A: "once (task)" }, issues: [] },
    "without a value it can be given one",
  );
});

test("undeclared, wrong and missing values are refused", (t) => {
  const pipeline = [
    { name: "ENV", type: "enum", options: ["a", "b"] },
    { name: "ON", type: "boolean" },
    { name: "MUST", required: true },
    { name: "KEY", type: "secret" },
  ] as const;
  t.deepEqual(
    checkRunValues(pipeline, { ENV: "c", ON: "yes", ENVS: "a", KEY: "hunter2 is my password" }).map(
      ({ path, message, hint }) => `${path} ${message}${hint === undefined ? "" : ` (${hint})`}`,
    ),
    [
      'params.ENVS the pipeline does not declare it (did you mean "ENV"?)',
      'params.ENV found "c" from the run; allowed: a, b',
      'params.ON found "yes" from the run; true or false is expected, in quotes: "true"',
      "params.KEY from the run; the name of a stored secret is expected, never its value",
      "params.MUST is required and has no value",
    ],
  );
  t.deepEqual(words({ task: { X: "1" } }).issues, ["params.X neither the job nor the pipeline declares it"]);
});

test("a task's values can name params of the pipeline and outputs, and nothing else", (t) => {
  const sources = { job: [{ name: "IMAGE" }], pipeline: [{ name: "REPO", value: "r" }], outputs: { TAG: "v1" } };
  t.is(words({ ...sources, task: { IMAGE: "${REPO}/app:${TAG}" } }).values.IMAGE, "r/app:v1 (task)");
  t.deepEqual(words({ ...sources, task: { IMAGE: "${REPOS}" } }).issues, [
    "params.IMAGE ${REPOS} names no param of the pipeline, no output of an earlier task and no global",
  ]);
});

test("outputs are there without a declaration; a secret is never an output", (t) => {
  t.deepEqual(words({ outputs: { NEW: "1" }, job: [{ name: "KEY", type: "secret", value: "app/key" }] }).values, {
    KEY: "app/key (job)",
    NEW: "1 (output)",
  });
  t.is(words({ outputs: { KEY: "leak" }, job: [{ name: "KEY", type: "secret", value: "app/key" }] }).values.KEY, "app/key (job)");
});

test("a job gets variables, secrets and templates; no value becomes code", (t) => {
  const spec: JobSpec = {
    run: { command: { argv: ["git", "checkout", "${BRANCH}", "${HOME}"], cwd: "/srv/${BRANCH}" } },
    rules: [],
    env: { WHERE: "at ${BRANCH}", BRANCH: "old" },
    params: [
      { name: "BRANCH", value: "main", usage: "template" },
      { name: "PLAIN", value: "p" },
      { name: "KEY", type: "secret", value: "app/key" },
    ],
  };
  const { params, issues } = resolve({ ...NONE, job: spec.params ?? [] });
  t.deepEqual(issues, []);
  t.deepEqual(renderJob(spec, params), {
    run: { command: { argv: ["git", "checkout", "main", "${HOME}"], cwd: "/srv/main" } },
    rules: [],
    env: { WHERE: "at main", BRANCH: "main", PLAIN: "p" },
    secrets: { KEY: { secret: "app/key" } },
  });
  const script: JobSpec = { run: { command: { script: 'echo "${BRANCH}"' } }, rules: [] };
  const evil = resolve({ ...NONE, job: spec.params ?? [], task: { BRANCH: "$(reboot)" } }).params;
  t.deepEqual(renderJob(script, evil).run, script.run);
  t.is(renderJob(script, evil).env?.BRANCH, "$(reboot)");
});
