/** A node as the API shows it: its registration and its presence. */
import type { ConditionView, NodeDetail, NodeView } from "../http/node-schema.ts";
import type { NodeEntry } from "../views.ts";
import { freeAt, nodeWork } from "./node-work.ts";
import type { OpsDeps } from "./ops-deps.ts";

export function nodeView(deps: Pick<OpsDeps, "keys" | "views">, entry: NodeEntry): NodeView {
  const { v: _, ...info } = entry.info;
  const alive = deps.views.alive.get(deps.keys.alive(info.id));
  return {
    ...info,
    labels: entry.labels,
    revision: entry.revision,
    online: alive !== undefined,
    draining: info.drain !== undefined,
    drained: info.drain !== undefined && alive?.draining === true && alive.running + alive.queued === 0,
    running: alive?.running ?? 0,
    queued: alive?.queued ?? 0,
    observedRevision: alive?.observedRevision ?? null,
    onlineSince: alive?.startedAt ?? null,
    conditions: conditionsOf(deps, info.id),
  };
}

/** With what runs on it. */
export function nodeDetail(deps: Pick<OpsDeps, "clock" | "keys" | "views">, entry: NodeEntry): NodeDetail {
  const view = nodeView(deps, entry);
  const executions = nodeWork(deps, view.id);
  return { ...view, freeAt: freeAt(executions, view.queued), executions };
}

function conditionsOf(deps: Pick<OpsDeps, "views">, id: string): ConditionView[] {
  const conditions: ConditionView[] = [];
  for (const [, { v: _, revision: __, node, ...condition }] of deps.views.conditions.entries()) if (node === id) conditions.push(condition);
  return conditions.sort((a, b) => (a.type < b.type ? -1 : 1));
}
