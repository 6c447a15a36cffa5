/** `fleetcron pipeline …` on a real fleet: three agents that run real commands, two masters of which one dies. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import type { PipelineRunView } from "fleetcron/http/pipeline-schema";
import { makeRepository } from "../../scripts/tour/repository.ts";
import { type Cli, createCli, type Expected, expectRun } from "../support/cli-process.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";
import { taskOfRun } from "../support/pipelines.ts";

const shared = {} as { etcd: EtcdServer; fleet: Fleet; cli: Cli };
const ran = (t: ExecutionContext, args: string | readonly string[], expected: Expected) => expectRun(t, shared.cli, args, expected);

const FILE = `jobs:
  web/greet:
    run: { command: { script: 'echo "$GREETING from $FLEETCRON_NODE"' } }
    rules: [{ mode: cycle, timer: "@yearly", target: { labels: { role: web } } }]
    params: [{ name: GREETING, value: hello }]
pipelines:
  web/deploy:
    params:
      - { name: BRANCH, value: main }
      - { name: FAIL, type: boolean, value: "false" }
    stages:
      - name: build
        parallel: true
        tasks:
          - name: checkout
            job: { run: { command: { script: 'echo "COMMIT=abc-$BRANCH" > "$FLEETCRON_RESULT"' } } }
          - { name: lint, job: { run: { command: { script: "true" } } } }
      - name: roll
        tasks:
          - { name: ask, job: web/greet, audit: { auditors: [admin] } }
          - name: deploy
            job:
              run: { command: { script: 'echo "deploy $COMMIT on $FLEETCRON_NODE"; test "$FAIL" = false || test -e FOLDER/mended' } }
            forEachNode: true
            target: { labels: { role: web } }
    finally:
      - { name: clean, job: { run: { command: { script: 'echo "clean $FLEETCRON_RUN $FLEETCRON_TASK"' } } } }
  web/slow:
    tasks:
      - { name: sleep, job: { run: { command: { script: "sleep 600" } } } }
  web/chain:
    stages:
      - name: s
        tasks: [CHAIN]
`;
const CHAIN = Array.from(
  { length: 8 },
  (_, i) => `{ name: t${i}, job: { run: { command: { script: 'echo t${i} >> FOLDER/chain; sleep 0.2' } } } }`,
).join(", ");

test.before(async () => {
  shared.etcd = await startEtcd();
  shared.fleet = await startFleet({ etcd: shared.etcd.endpoints, nodes: [], masters: 2, masterArgs: ["--session-ttl", "2s"] });
  await shared.fleet.addAgent("ci");
  for (const id of ["w1", "w2"]) await shared.fleet.addAgent(id, { args: ["--label", "role=web"] });
  const { token, folder, masters } = shared.fleet;
  const { url } = masters[1]!.ready as { url: string };
  shared.cli = createCli(folder, { FLEETCRON_SERVER: url, FLEETCRON_TOKEN: token });
  writeFileSync(join(folder, "p.yaml"), FILE.replace("CHAIN", CHAIN).replaceAll("FOLDER", folder));
});
test.after.always(async () => {
  await shared.fleet?.[Symbol.asyncDispose]();
  await shared.etcd?.stop();
});

async function started(t: ExecutionContext, args: string): Promise<string> {
  const { out } = await ran(t, `pipeline run ${args} -o name`, { code: 0, out: /^[0-9A-Z]{26}\n$/ });
  return out.trim();
}

async function status(run: string): Promise<PipelineRunView> {
  return JSON.parse((await shared.cli(`pipeline status ${run} -o json`)).out) as PipelineRunView;
}

const until = (run: string, what: string, holds: (view: PipelineRunView) => boolean) =>
  eventually(what, async () => {
    const view = await status(run);
    return holds(view) ? view : undefined;
  });

test.serial("files with pipelines are applied as a whole, and what is wrong is told with its line", async (t) => {
  await ran(t, "apply -f p.yaml --dry-run", {
    code: 0,
    out: /\+ pipeline web\/deploy would be created[\s\S]*dry run, nothing was written: 4 created/,
  });
  await ran(t, "pipeline ls", { code: 0, out: /^$/, err: /there are no pipelines/ });
  writeFileSync(
    shared.fleet.file("bad.yaml"),
    "pipelines:\n  a/b:\n    tasks:\n      - { name: x, job: web/great }\n      - { name: y, job: web/greet, params: { GRETING: hi } }\n",
  );
  await ran(t, ["apply", "-f", shared.fleet.file("bad.yaml"), "-f", "p.yaml"], {
    code: 2,
    err: /bad\.yaml:4: pipelines\.a\/b\.tasks\[0\]\.job: there is no job web\/great[\s\S]*bad\.yaml:5: .*params\.GRETING: neither the job nor the pipeline declares this param \(did you mean "GREETING"\?\)/,
  });
  await ran(t, "apply -f p.yaml", { code: 0, out: /4 created/ });
  await ran(t, "job run web/greet --node w1 --param GREETING=hi --wait", { code: 0, out: /hi from w1/ });
  await ran(t, "job run web/greet --param GREETIN=hi", { code: 2, err: /did you mean "GREETING"\?/ });
  await ran(t, "apply -f p.yaml", { code: 0, out: /= pipeline web\/deploy unchanged[\s\S]*4 unchanged/ });
  await ran(t, "pipeline ls", { code: 0, out: /^PIPELINE +TASKS[\s\S]*web\/chain +8[\s\S]*web\/deploy +5 +BRANCH,FAIL/ });
  await ran(t, "pipeline show web/deploy", { code: 0, out: /params:\n {2}BRANCH \(text, default main\)[\s\S]*finally: clean \(inline\)/ });
  await ran(t, "pipeline show web/deplyo", { code: 3, err: /did you mean web\/deploy\?/ });
});

test.serial("a run with params, an audit, outputs and a fan-out, followed to its end", async (t) => {
  await ran(t, "pipeline run web/deploy --param BRANCHES=x", {
    code: 2,
    err: /the pipeline does not declare it[\s\S]*did you mean "BRANCH"\?/,
  });
  await ran(t, "pipeline run web/deploy --param FAIL=yes", { code: 2, err: /true or false is expected/ });
  await ran(t, "pipeline run web/deploy --dry-run", {
    code: 0,
    out: /dry run, nothing was started[\s\S]*deploy +web\/deploy\.deploy@\d+ +- +w1,w2/,
  });
  const run = await started(t, "web/deploy --param BRANCH=dev");
  await until(run, "it asks", (view) => taskOfRun(view, "ask")?.state === "waitingAudit");
  await ran(t, "pipeline runs web/deploy", { code: 0, out: /active +2\/5[\s\S]*waits for a decision: ask/ });
  await ran(t, `pipeline status ${run} --wait --timeout 1s`, { code: 7, err: /ask \(waitingAudit\)/ });
  await ran(t, `pipeline deny ${run} ask`, { code: 2, err: /--comment/ });
  await ran(t, `pipeline approve ${run} ask`, { code: 0, out: /roll +ask +(scheduling|creating|active|succeeded)/ });
  await ran(t, ["pipeline", "deny", run, "ask", "--comment", "no"], { code: 4, err: /was approved by admin/ });
  await ran(t, `pipeline status ${run} --wait`, { code: 0, out: /state: +succeeded[\s\S]*deploy +succeeded +1 +w1,w2/ });
  const records = await shared.fleet.records("web/deploy.deploy");
  t.deepEqual(records.map(({ output }) => output?.tail).sort(), ["deploy abc-dev on w1\n", "deploy abc-dev on w2\n"]);
  t.true(records.every(({ runId, taskId }) => runId === run && taskId === "deploy"));
  const [clean] = await shared.fleet.records("web/deploy.clean");
  t.is(clean?.output?.tail, `clean ${run} clean\n`);
});

test.serial("a failed run is rerun from its failed task", async (t) => {
  const run = await started(t, "web/deploy --param FAIL=true");
  await until(run, "it asks", (view) => taskOfRun(view, "ask")?.state === "waitingAudit");
  await ran(t, `pipeline approve ${run} ask`, { code: 0 });
  await ran(t, `pipeline status ${run} --wait`, { code: 1, out: /deploy +failed/, err: /task deploy failed: exit:1 on w1 and on 1 more/ });
  writeFileSync(join(shared.fleet.folder, "mended"), "");
  await ran(t, `pipeline rerun ${run} --from deploy --wait`, {
    code: 0,
    out: /state: +succeeded, attempt 2[\s\S]*ask +succeeded +1[\s\S]*deploy +succeeded +2/,
  });
  await ran(t, `pipeline rerun ${run} --from nope`, { code: 3, err: /has no task "nope"/ });
});

test.serial("cancel kills the processes", async (t) => {
  const run = await started(t, "web/slow");
  const view = await until(run, "it runs", (now) => taskOfRun(now, "sleep")?.state === "active");
  const { execution } = taskOfRun(view, "sleep")?.instances?.[0] ?? { execution: "" };
  await ran(t, ["pipeline", "cancel", run, "--reason", "enough", "--wait"], {
    code: 0,
    out: /state: +cancelled[\s\S]*cancelled by admin: enough/,
  });
  const [record] = await shared.fleet.records("web/slow.sleep");
  t.is(record?.execution, execution);
  t.like(record?.outcome, { type: "killed", by: "admin" });
  await ran(t, `pipeline cancel ${run}`, { code: 4, err: /has ended already: cancelled/ });
});

test.serial("the example runs", async (t) => {
  await ran(t, ["apply", "-f", fileURLToPath(new URL("../../examples/pipelines.yaml", import.meta.url))], {
    code: 0,
    out: /channel release created[\s\S]*pipeline demo\/release created/,
  });
  await ran(t, "pipeline run demo/release", { code: 2, err: /params\.REPO is required and has no value/ });
  const run = await started(t, `demo/release --param REPO=${makeRepository(shared.fleet.folder)}`);
  await until(run, "it asks", (view) => taskOfRun(view, "deploy")?.state === "waitingAudit");
  await ran(t, `pipeline approve ${run} deploy`, { code: 0 });
  await until(run, "it asks again", (view) => taskOfRun(view, "deploy")?.state === "waitingConfirm");
  await ran(t, `pipeline confirm ${run} deploy`, { code: 0 });
  await ran(t, `pipeline status ${run} --wait`, { code: 0, out: /state: +succeeded/ });
  const style = taskOfRun(await status(run), "style");
  t.is(style?.state, "succeeded", style?.message);
  t.false(existsSync(`/tmp/release-${run}`));
  const records = await shared.fleet.records("demo/release.deploy");
  t.deepEqual(
    records.map(({ output }) => output?.tail).sort(),
    ["ci", "w1", "w2"].map((node) => `hello from ${node}\n`),
  );
});

test.serial("the leader is killed in the middle: the run goes on, and no task runs twice", async (t) => {
  const chain = join(shared.fleet.folder, "chain");
  const run = await started(t, "web/chain");
  await eventually("the third task", async () => existsSync(chain) && readFileSync(chain, "utf8").includes("t2"));
  await shared.fleet.masters[0]?.kill();
  await ran(t, `pipeline status ${run} --wait`, { code: 0, out: /state: +succeeded/ });
  t.is(readFileSync(chain, "utf8"), Array.from({ length: 8 }, (_, i) => `t${i}\n`).join(""));
});

test.serial("rules that name a channel which is not there are refused, with file, line and what to do", async (t) => {
  const rule = "    notify:\n      - { on: [finalFailure], to: [ops] }\n      - on: [success]\n        to: [opps]\n";
  const job =
    '  a/j:\n    run: { command: { script: "true" } }\n    rules: [{ mode: manyonce }]\n    notify: [{ on: [missed], to: [chat] }]\n';
  const channels = "channels:\n  ops: { webhook: { url: https://example.org/ } }\n";
  const pipeline = `  a/b:\n    tasks: [{ name: x, job: web/greet }]\n${rule}`;
  writeFileSync(shared.fleet.file("rules.yaml"), `${channels}pipelines:\n${pipeline}jobs:\n${job}`);
  await ran(t, "apply -f rules.yaml", {
    code: 2,
    err: /rules\.yaml:14: jobs\.a\/j\.notify\[0\]\.to: there is no channel chat[\s\S]*rules\.yaml:9: pipelines\.a\/b\.notify\[1\]\.to: there is no channel opps \(did you mean "ops"\?\)/,
  });
  await ran(t, "pipeline show a/b", { code: 3 });
});

test.serial("a job that pipelines name is not deleted, unless forced", async (t) => {
  await ran(t, "job rm web/greet", {
    code: 4,
    err: /job web\/greet is a task of the pipeline web\/deploy[\s\S]*take it out of their tasks first; with --force/,
  });
  writeFileSync(shared.fleet.file("other.yaml"), FILE.slice(0, FILE.indexOf("pipelines:")).replace("web/greet", "web/other"));
  await ran(t, "apply -f other.yaml --prune", {
    code: 4,
    err: /job web\/greet is a task of the pipeline web\/deploy[\s\S]*apply the job too, or change these pipelines first/,
  });
  await ran(t, "job show web/other", { code: 3 });
  await ran(t, "job rm --force web/greet", { code: 0, out: /web\/greet deleted/ });
  await ran(t, "pipeline run web/deploy", { code: 2, err: /there is no job web\/greet/ });
  await ran(t, "apply -f p.yaml", { code: 0, out: /1 created, 3 unchanged/ });
  await ran(t, "job rm web/nothing", { code: 3, err: /there is no job web\/nothing/ });
});

test.serial("--prune deletes pipelines that the files do not hold", async (t) => {
  const text = readFileSync(join(shared.fleet.folder, "p.yaml"), "utf8");
  writeFileSync(join(shared.fleet.folder, "p.yaml"), text.slice(0, text.indexOf("  web/slow:")));
  await ran(t, "apply -f p.yaml --prune", { code: 0, out: /- pipeline web\/chain deleted[\s\S]*2 deleted, 2 unchanged/ });
  await ran(t, "pipeline rm web/deploy", { code: 0, out: /web\/deploy deleted/ });
  await ran(t, "pipeline run web/deploy", { code: 3, err: /there is no pipeline web\/deploy/ });
});
