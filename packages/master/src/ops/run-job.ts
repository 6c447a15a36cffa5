/** Orders a job to run now: `common` on each matching online node, `interval` and `alone` on one. One etcd transaction; the agents do the rest. */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { hash32 } from "fleetcron-shared/base/hash";
import { idTimeMs } from "fleetcron-shared/base/ids";
import { stableId } from "fleetcron-shared/base/stable-id";
import { renderJob, resolve } from "fleetcron-shared/model/pipeline/params";
import { unchanged } from "fleetcron-shared/store/kv";
import type { RunResult } from "../http/api-schema.ts";
import { type JobRef, toKey } from "../job-ref.ts";
import { passing } from "../kill-points.ts";
import type { JobEntry } from "../views.ts";
import { matchingNodes, preferredFirst } from "./choose-nodes.ts";
import { findJob, findNode, readJob } from "./find.ts";
import type { Once } from "./once.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { putOrders } from "./put-orders.ts";
import { runOrder } from "./run-order.ts";

export type RunRequest = {
  readonly node?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Values for the params that the job declares. */
  readonly params?: Readonly<Record<string, string>> | undefined;
};

/** Throws `job/not-found`, `node/not-found`, `node/not-online`, `node/none-matching`. A paused job runs all the same. */
export async function runJob(deps: OpsDeps, ref: JobRef, request: RunRequest, by: string, once?: Once): Promise<RunResult> {
  checkEnv(request.env);
  let entry = await findJob(deps, ref);
  for (let attempt = 0; attempt < 3; attempt++) {
    const nodes = await chooseNodes(deps, entry, request.node);
    const orderedAt = toIso(deps.clock.now());
    const ordered = withParams(entry, request.params ?? {});
    const orders = nodes.map((node) => ({
      node,
      order: runOrder(ordered, { ...idsFor(deps, node, once), by, orderedAt, env: request.env }),
    }));
    const result: RunResult = { orders: orders.map(({ node, order }) => ({ order: order.id, node, execution: order.execution })) };
    if (once?.made === true) return result;
    const condition = unchanged(deps.keys.job(ref.group, ref.id), entry.job.revision);
    const [guard, mark] = once === undefined ? [[], []] : [[once.guard], [once.mark(result)]];
    // With a key that is taken meanwhile, the answer is the first one (http/idempotency.ts).
    if (await passing(deps.passPoint, ["runJob"], () => putOrders(deps, [condition, ...guard], orders, mark))) return result;
    if (once !== undefined && !(await isOpen(deps, once))) return result;
    entry = await readJob(deps, ref);
  }
  throw new AppError("write/conflict", `job ${toKey(ref)} is being changed all the time`);
}

/** Those of a request that happens once are made of it and the node, so that making it again makes the same. */
function idsFor(deps: Pick<OpsDeps, "newId">, node: string, once: Once | undefined): { id: string; execution: string } {
  if (once === undefined) return { id: deps.newId(), execution: deps.newId() };
  const atMs = idTimeMs(once.id) ?? 0;
  return { id: stableId(atMs, once.id, "order", node), execution: stableId(atMs, once.id, "execution", node) };
}

/** Whether nobody has made it yet. */
async function isOpen({ kv }: Pick<OpsDeps, "kv">, { guard }: Once): Promise<boolean> {
  return (await kv.txn({ if: [guard], then: [] })).succeeded;
}

async function chooseNodes(deps: OpsDeps, entry: JobEntry, node: string | undefined): Promise<string[]> {
  const { job } = entry;
  const matching = matchingNodes(deps.views, deps.keys, job);
  if (node !== undefined) {
    await findNode(deps, node);
    const candidate = matching.find(({ id }) => id === node);
    if (candidate === undefined) throw new AppError("node/none-matching", `no rule of job ${job.key} matches node ${node}`);
    if (!candidate.online)
      throw new AppError("node/not-online", `node ${node} is not online`, { hint: "start its agent, or leave out the node" });
    return [node];
  }
  const able = matching.filter(({ online, draining }) => online && !draining);
  if (able.length === 0) {
    const draining = matching.filter((candidate) => candidate.online).length;
    const why =
      matching.length === 0
        ? "its rules match no registered node"
        : `of ${matching.length} matching nodes ${draining} are online and all of those drain`;
    throw new AppError("node/none-matching", `job ${job.key} can run nowhere now: ${why}`, {
      hint: "`fleetcron node ls` shows nodes and labels",
    });
  }
  if (job.kind === "common") return able.map(({ id }) => id);
  const salt = deps.clock.now();
  return preferredFirst(job, able, ({ id }) => hash32(`${job.key}@${id}@${salt}`))
    .slice(0, 1)
    .map(({ id }) => id);
}

/** The job with its params worked in; throws `input/invalid` for undeclared, wrong and missing ones. */
function withParams(entry: JobEntry, given: Readonly<Record<string, string>>): JobEntry {
  const { spec } = entry.stored;
  const { params, issues } = resolve({ job: spec.params ?? [], pipeline: [], task: given, run: {}, outputs: {} });
  if (issues.length > 0) throw new AppError("input/invalid", `the params of job ${entry.job.key} are not right`, { issues });
  return params.length === 0 ? entry : { ...entry, stored: { ...entry.stored, spec: renderJob(spec, params) } };
}

function checkEnv(env: Readonly<Record<string, string>> | undefined): void {
  for (const [name, value] of Object.entries(env ?? {})) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw invalid(name, "is not a name of letters, digits and '_'");
    if (name.startsWith("FLEETCRON_")) throw invalid(name, "is set by Fleetcron itself");
    if (value.includes("\0")) throw invalid(name, "holds a NUL character");
  }
}

function invalid(name: string, message: string): AppError {
  return new AppError("input/invalid", `the environment variable "${name}" ${message}`, { issues: [{ path: `env.${name}`, message }] });
}
