/** A node as the API shows it: its registration and its presence. */
import type { ConditionView, NodeView } from "../http/api-schema.ts";
import type { NodeEntry } from "../views.ts";
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
    running: alive?.running ?? 0,
    queued: alive?.queued ?? 0,
    observedRevision: alive?.observedRevision ?? null,
    onlineSince: alive?.startedAt ?? null,
    conditions: conditionsOf(deps, info.id),
  };
}

function conditionsOf(deps: Pick<OpsDeps, "views">, id: string): ConditionView[] {
  const conditions: ConditionView[] = [];
  for (const [, { v: _, revision: __, node, ...condition }] of deps.views.conditions.entries()) if (node === id) conditions.push(condition);
  return conditions.sort((a, b) => (a.type < b.type ? -1 : 1));
}
