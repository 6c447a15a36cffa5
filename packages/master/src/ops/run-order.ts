/** The value of a run order: the job as it is now, and who wants it. */
import type { Order } from "fleetcron-shared/model/facts";
import type { JobEntry } from "../views.ts";

export type RunOrder = Extract<Order, { type: "run" }>;

export function runOrder(
  entry: JobEntry,
  order: { id: string; execution: string; by: string; orderedAt: string; env?: Readonly<Record<string, string>> | undefined },
): RunOrder {
  const { group, id: job, createdAt, updatedAt, submittedAt, spec } = entry.stored;
  const { env, ...rest } = order;
  return {
    v: 1,
    type: "run",
    ...rest,
    group,
    job,
    revision: entry.job.revision,
    createdAt,
    updatedAt,
    submittedAt,
    spec,
    ...(env === undefined ? {} : { env }),
  };
}
