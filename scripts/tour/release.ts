/** The tour's pipeline: examples/pipelines.yaml from checkout to the last message, on a repository made on the spot; the tour is the one who approves. */
import { type ApiClient, collectPages } from "fleetcron/client/api";
import type { PipelineRunView } from "fleetcron/http/pipeline-schema";
import { type Fleet, sleep } from "./fleet.ts";
import type { Receiver } from "./receiver.ts";
import { makeRepository } from "./repository.ts";

const PIPELINE = "demo/release";
const STATE_WITHIN_MS = 20_000;
const MESSAGE_WITHIN_MS = 10_000;

/** Runs the pipeline and returns what went wrong, which should be nothing. */
export async function showRelease(fleet: Fleet, api: ApiClient, receiver: Receiver): Promise<string[]> {
  const wrong: string[] = [];
  const told = async (words: string) => {
    const message = await receiver.message(words, MESSAGE_WITHIN_MS);
    if (message === undefined) wrong.push(`no message "… ${words} …" has come`);
    else console.log(`  ✉ to the webhook: ${message.title}`);
  };
  console.log(
    "\nA pipeline, on a Git repository made on the spot: checkout → build and test → approval → deploy on each node → confirmation → message",
  );
  const repository = makeRepository(fleet.dir);
  await fleet.command("apply", "-f", "examples/pipelines.yaml", "-o", "name");
  await fleet.command("pipeline", "run", PIPELINE, "--param", `REPO=${repository}`);
  const { items } = await api.pipelineRuns({ pipeline: PIPELINE, limit: 1 });
  const id = items[0]?.id ?? "";

  await deployIn(api, id, "waitingAudit");
  await told("to approve task deploy");
  await fleet.command("pipeline", "approve", id, "deploy", "--comment", "its tests have passed");
  await deployIn(api, id, "waitingConfirm");
  await told("to confirm task deploy");
  await fleet.command("pipeline", "confirm", id, "deploy");
  await fleet.command("pipeline", "status", id, "--wait");
  await told("succeeded");
  const run = await api.pipelineRun(id, PIPELINE);
  return [...wrong, ...(await executionsWrong(api, run)), ...(run.state === "succeeded" ? [] : [`the run of ${PIPELINE} ${run.state}`])];
}

/** Waits until the task `deploy` is in this state; throws when the run ends before, or it takes too long. */
async function deployIn(api: ApiClient, id: string, state: string): Promise<void> {
  for (const until = Date.now() + STATE_WITHIN_MS; ; await sleep(50)) {
    const run = await api.pipelineRun(id, PIPELINE);
    const deploy = run.tasks.find(({ name }) => name === "deploy");
    if (deploy?.state === state) return;
    if (run.endedAt !== undefined || Date.now() > until)
      throw new Error(`task deploy of run ${id} is not ${state}: ${deploy?.state}, run ${run.state} ${run.message ?? ""}`);
  }
}

/** Each task has one execution on each of its nodes, and each execution one record: none is missing, none ran twice. */
async function executionsWrong(api: ApiClient, run: PipelineRunView): Promise<string[]> {
  const { items } = await collectPages((limit, cursor) => api.records({ limit, cursor }), Number.POSITIVE_INFINITY);
  const records = items.filter(({ runId }) => runId === run.id);
  const instances = run.tasks.flatMap(({ name, instances = [] }) => instances.map(({ node, execution }) => ({ name, node, execution })));
  const lone = records.filter(({ execution }) => !instances.some((one) => one.execution === execution));
  return [
    ...lone.map(({ taskId, nodeId }) => `task ${taskId} of the pipeline ran once more on ${nodeId}`),
    ...instances.flatMap(({ name, node, execution }) => {
      const count = records.filter((record) => record.execution === execution).length;
      return count === 1 ? [] : [`task ${name} of the pipeline has ${count} records on ${node}`];
    }),
  ];
}
