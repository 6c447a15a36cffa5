/** A job as the API shows it. */
import { toIso } from "fleetcron-shared/base/clock";
import type { Dispatch } from "fleetcron-shared/model/facts";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { JobView } from "../http/api-schema.ts";
import type { JobEntry } from "../views.ts";
import { matchingNodes } from "./choose-nodes.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { readKeys } from "./read-keys.ts";

/** From memory alone. */
export function jobView(deps: Pick<OpsDeps, "keys" | "views" | "clock" | "timetable">, entry: JobEntry): JobView {
  const { job, stored } = entry;
  const stats = deps.views.stats.get(deps.keys.stats(job.group, job.id))?.stats;
  const now = deps.clock.now();
  return {
    group: job.group,
    id: job.id,
    revision: job.revision,
    createdAt: stored.createdAt,
    updatedAt: stored.updatedAt,
    submittedAt: stored.submittedAt,
    spec: stored.spec,
    ...(stats === undefined ? {} : { stats }),
    rules: job.rules.map((rule) => {
      const times = deps.timetable.of(job, rule);
      const next = job.pause ? undefined : times.nextAfter(now);
      return { id: rule.id, words: times.words, next: next === undefined ? null : toIso(next) };
    }),
  };
}

/** The view with how many of the online nodes that the job matches have taken over this revision of it. Reads their dispatches. */
export async function jobViewWithAcks(
  deps: Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "timetable">,
  entry: JobEntry,
): Promise<JobView> {
  const { keys, views } = deps;
  const { job } = entry;
  const online = matchingNodes(views, keys, job).filter((node) => node.online);
  const dispatches = await readKeys(
    deps.kv,
    online.map((node) => keys.dispatch(node.id, job.group, job.id)),
  );
  const taken = online.filter((node) => {
    const kv = dispatches.get(keys.dispatch(node.id, job.group, job.id));
    if (kv === undefined || tryDecode<Dispatch>(kv.key, kv.value)?.revision !== job.revision) return false;
    return (views.alive.get(keys.alive(node.id))?.observedRevision ?? 0) >= kv.modRevision;
  });
  return { ...jobView(deps, entry), acknowledged: { nodes: taken.length, of: online.length } };
}
