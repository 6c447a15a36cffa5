import test from "ava";
import { AppError, formatIssue, isCode } from "../../base/errors.ts";
import { parseFiles } from "../job-file.ts";
import { parsePipelineSpec } from "./pipeline-check.ts";

const FULL = `jobs:
  db/migrate: { run: { command: { script: make } }, rules: [{ mode: cycle, timer: 0 3 * * * }] }
pipelines:
  web/deploy:
    name: deploy
    description: builds and rolls out
    labels: { team: web }
    owner: ann
    sequential: team
    timeout: 2h
    onFailure: failFast
    retain: { count: 50, age: 90d }
    params:
      - { name: BRANCH, value: main, required: true, description: what to build }
      - { name: ENV, type: enum, options: [test, prod], value: test, scope: { stages: [roll], tasks: [checkout] } }
      - { name: FAST, type: boolean, value: "false", readOnly: true, usage: template }
      - { name: TOKEN, type: secret, value: shared/token }
    stages:
      - name: build
        parallel: true
        tasks:
          - name: checkout
            job: { run: { command: { script: "git clone" } }, params: [{ name: DEPTH, value: "1" }], timeout: 5m }
            params: { DEPTH: "2", BRANCH: "\${FAST}" }
            retry: { limit: 2, delay: 5s, backoff: exponential, maxDelay: 1m }
            timeout: 10m
            nodeTimeout: 5m
            labels: { step: "1" }
      - name: roll
        tasks:
          - { name: ask, job: db/migrate, audit: { auditors: [ann], timeout: 1d }, confirm: { checkers: [bob], enabled: false } }
          - { name: roll, job: db/migrate@12, forEachNode: true, target: { labels: { role: web } }, when: { ENV: "!=test" }, ignoreFailed: true }
          - { name: check, job: db/migrate, sameNodeAs: checkout, skip: false, dryRun: false, manualStatus: true }
    finally:
      - { name: clean, job: { run: { command: { argv: [rm, -rf, x] } } } }
`;

function issuesOf(text: string): string[] {
  try {
    parseFiles([{ name: "p.yaml", text }]);
    return [];
  } catch (error) {
    return isCode(error, "input/invalid") ? error.issues.map(formatIssue) : [String(error)];
  }
}

test("every field of a pipeline is taken, beside jobs", (t) => {
  const { jobs, pipelines } = parseFiles([{ name: "p.yaml", text: FULL }]);
  t.is(jobs.length, 1);
  const [one] = pipelines;
  t.is(`${one?.group}/${one?.id} at ${one?.line}`, "web/deploy at 4");
  t.is(one?.lineOf(["stages", 1, "tasks", 0, "audit"]), 31);
  t.deepEqual(parsePipelineSpec("web", "deploy", JSON.parse(JSON.stringify(one?.spec))), one?.spec);
});

const CASES: readonly (readonly [what: string, from: string, to: string, issue: string | RegExp])[] = [
  [
    "an unknown field",
    "onFailure",
    "onFailur",
    'p.yaml:11: pipelines.web/deploy.onFailur: there is no such field (did you mean "onFailure"?)',
  ],
  [
    "an unknown field of a task",
    "dryRun: false",
    "dryrun: false",
    /p\.yaml:33: pipelines\.web\/deploy\.stages\[1\]\.tasks\[2\]\.dryrun: .*did you mean "dryRun"/,
  ],
  [
    "a wrong inline job",
    'script: "git clone"',
    "scrip: x",
    /p\.yaml:23: .*job\.run\.command\.scrip: there is no such field \(did you mean "script"\?\)/,
  ],
  ["both forms", "    finally:", "    tasks: [{ name: a, job: db/migrate }]\n    finally:", /both stages and tasks are given/],
  ["a name twice", "name: check,", "name: roll,", /p\.yaml:33: .*there is another task "roll" above/],
  [
    "a stage twice",
    "- name: build",
    "- name: roll",
    /p\.yaml:29: pipelines\.web\/deploy\.stages\[1\]\.name: there is another stage "roll" above/,
  ],
  ["a variable of the agent's", "name: FAST,", "name: FLEETCRON_RUN,", /p\.yaml:16: .*params\[2\]\.name: .*those are set by the agent/],
  ["an unknown task", "sameNodeAs: checkout", "sameNodeAs: chekout", /there is no task "chekout" \(did you mean "checkout"\?\)/],
  ["itself", "sameNodeAs: checkout", "sameNodeAs: check", /a task cannot wait for itself/],
  [
    "a later task",
    "name: ask, job: db/migrate,",
    "name: ask, job: db/migrate, sameNodeAs: check,",
    /wait for each other in a circle: ask → check → roll → ask|circle/,
  ],
  ["many nodes for one", "sameNodeAs: checkout", "sameNodeAs: roll", /the task "roll" runs on many nodes \(add forEachNode: true\)/],
  [
    "an undeclared param",
    'DEPTH: "2"',
    'DETH: "2"',
    /p\.yaml:24: .*params\.DETH: neither the job nor the pipeline declares this param \(did you mean "DEPTH"\?\)/,
  ],
  ["a read-only param", 'DEPTH: "2"', 'FAST: "true"', /params\.FAST: the param is read-only with the value "false"/],
  ["a wrong value", "value: test,", "value: tset,", /params\[1\]\.value: found "tset"; allowed: test, prod/],
  ["an unknown stage of a scope", "stages: [roll]", "stages: [rol]", /there is no stage "rol" \(did you mean "roll"\?\)/],
  ["nobody who may approve", "auditors: [ann]", "auditors: []", /at least 1 of ids is needed/],
  [
    "a status for many nodes",
    "forEachNode: true,",
    "forEachNode: true, manualStatus: true,",
    /there is one status for a task on many nodes/,
  ],
  ["a secret as a template", "type: secret,", "type: secret, usage: template,", /a secret is given to the command as a variable only/],
  ["what is no name of a secret", "value: shared/token", "value: s3cr3t!PASS", /the name of a stored secret is expected, never its value/],
  [
    "needs in stages",
    "name: ask, job: db/migrate,",
    "name: ask, job: db/migrate, needs: [checkout],",
    /tasks in stages have their order from the stages/,
  ],
  ["a long name", "- name: checkout", `- name: ${"c".repeat(60)}`, /at most 63 are allowed/],
  ["no job", "job: db/migrate@12", "job: migrate", /found "migrate"; group\/id or group\/id@revision is expected/],
];

for (const [what, from, to, issue] of CASES) {
  test(`${what} is told with its line`, (t) => {
    t.true(FULL.includes(from), from);
    const found = issuesOf(FULL.replace(from, to));
    t.true(
      found.some((one) => (typeof issue === "string" ? one === issue : issue.test(one))),
      found.join("\n"),
    );
  });
}

test("a cycle is told by its tasks", (t) => {
  const text = `pipelines:
  a/b:
    tasks:
      - { name: x, job: a/x, needs: [z] }
      - { name: y, job: a/x, needs: [x] }
      - { name: z, job: a/x, needs: [y] }
`;
  t.deepEqual(issuesOf(text), [
    "p.yaml:4: pipelines.a/b.tasks[0].needs: the tasks wait for each other in a circle: x → z → y → x (remove one of these needs)",
  ]);
});

test("a pipeline twice, and a value that is none", (t) => {
  const one = "pipelines: { a/b: { tasks: [{ name: x, job: a/x }] } }";
  const issues = (error: unknown) => (error as AppError).issues.map(formatIssue);
  const twice = t.throws(
    () =>
      parseFiles([
        { name: "1.yaml", text: one },
        { name: "2.yaml", text: one },
      ]),
    { instanceOf: AppError },
  );
  t.deepEqual(issues(twice), ["2.yaml:1: pipelines.a/b: the pipeline a/b is also in 1.yaml:1 (keep one of them)"]);
  t.true(issuesOf("pipelines: []")[0]?.includes("a mapping from group/id to pipelines is expected"));
  t.true(issuesOf("pipelines: { A/b: { tasks: [{ name: x, job: a/x }] } }")[0]?.includes("as the group of a pipeline"));
});
