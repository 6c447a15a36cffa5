/** Changes what operators own of a node (labels, drain) while its agent may write the rest: read, change, write if nobody wrote meanwhile. */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError, type Issue } from "fleetcron-shared/base/errors";
import type { NodeInfo } from "fleetcron-shared/model/facts";
import { type Revision, unchanged } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import { type NodeEntry, nodeEntry } from "../views.ts";
import { readNode } from "./find.ts";
import { checkRevision } from "./if-revision.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { putUnder } from "./settle.ts";

const TRIES = 10;
const LABEL_NAME = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^[A-Za-z0-9._:@/+ -]{0,255}$/;

async function editNode(deps: OpsDeps, id: string, edit: (info: NodeInfo) => NodeInfo, ifRevision?: Revision): Promise<NodeEntry> {
  const key = deps.keys.node(id);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const before = await readNode(deps, id);
    checkRevision(`node ${id}`, ifRevision, before.revision);
    const info = edit(before.info);
    if (info === before.info) return before;
    const value = encode(info);
    const revision = await putUnder(deps.kv, unchanged(key, before.revision), key, value);
    if (revision === undefined) continue;
    await deps.views.nodes.reached(revision);
    return nodeEntry({ key, value, modRevision: revision });
  }
  throw new AppError("write/conflict", `node ${id} is being changed all the time`);
}

/** `set` wins over the agent's own labels; `remove` takes back what was set, and hides a label that the agent brings. */
export function labelNode(
  deps: OpsDeps,
  id: string,
  change: { set: Readonly<Record<string, string>>; remove: readonly string[] },
  ifRevision?: Revision,
): Promise<NodeEntry> {
  checkLabels(change);
  const edit = (info: NodeInfo): NodeInfo => {
    const apiLabels: Record<string, string> = { ...info.apiLabels, ...change.set };
    for (const name of change.remove) {
      if (Object.hasOwn(info.agentLabels, name)) apiLabels[name] = "";
      else delete apiLabels[name];
    }
    return { ...info, apiLabels };
  };
  return editNode(deps, id, edit, ifRevision);
}

/** A draining node takes no new work; what runs goes on. Idempotent. */
export function drainNode(deps: OpsDeps, id: string, drain: boolean, by: string): Promise<NodeEntry> {
  return editNode(deps, id, (info) => {
    if (drain === (info.drain !== undefined)) return info;
    const { drain: _, ...rest } = info;
    return drain ? { ...rest, drain: { by, at: toIso(deps.clock.now()) } } : rest;
  });
}

function checkLabels(change: { set: Readonly<Record<string, string>>; remove: readonly string[] }): void {
  const issues: Issue[] = [];
  for (const [name, value] of Object.entries(change.set)) {
    if (!LABEL_NAME.test(name))
      issues.push({ path: `set.${name}`, message: "a label's name is of letters, digits and ._/- (at most 128)" });
    if (!LABEL_VALUE.test(value))
      issues.push({ path: `set.${name}`, message: "a label's value is of letters, digits, spaces and ._:@/+- (at most 255)" });
    if (change.remove.includes(name)) issues.push({ path: `remove`, message: `${name} is both set and removed` });
  }
  if (issues.length > 0) throw new AppError("input/invalid", "the labels are not accepted", { issues });
}
