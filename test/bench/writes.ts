/** How many transactions etcd sees per execution, and whether leases grow with ticks. */
import type { JobKind } from "fleetcron-shared/model/job-spec";
import { prefixRange } from "fleetcron-shared/store/kv";
import { eventually } from "../support/fleet.ts";
import type { BenchFleet } from "./bench-fleet.ts";

export type Writes = {
  readonly perExecution: number;
  readonly agent: number;
  readonly master: number;
  readonly leasesBefore: number;
  readonly leasesAfter: number;
};

/** Counts the revisions of everything under the prefix while a job of this kind runs once a second. */
export async function measureWrites(fleet: BenchFleet, kind: JobKind, executions: number): Promise<Writes> {
  const file = `writes-${kind}`;
  await fleet.apply({ "writes/j": { ...fleet.stampJob(file, kind, "* * * * * *"), kind, overlap: "skip", parallel: 1 } });
  await eventually("it runs", async () => fleet.stamps(file).length >= 2);
  const leasesBefore = await countLeases(fleet);
  const agentRevisions = new Set<number>();
  const masterRevisions = new Set<number>();
  const { revision } = await fleet.kv.range(prefixRange("/fleetcron/meta"));
  const begun = fleet.stamps(file).length;
  const stop = fleet.kv.watch(
    { ...prefixRange("/fleetcron/"), fromRevision: revision + 1 },
    {
      onEvents(events) {
        for (const event of events) {
          const key = event.type === "put" ? event.kv.key : event.key;
          const at = event.type === "put" ? event.kv.modRevision : event.modRevision;
          if (/^\/fleetcron\/(records|stats)\//.test(key)) masterRevisions.add(at);
          else if (event.type === "put" && /^\/fleetcron\/(inbox|claims|locks|proc)\//.test(key)) agentRevisions.add(at);
        }
      },
      onEnd() {},
    },
  );
  await eventually("the executions", async () => fleet.stamps(file).length >= begun + executions, (executions + 20) * 1000);
  stop();
  const counted = fleet.stamps(file).length - begun;
  const leasesAfter = await countLeases(fleet);
  await fleet.removeAll();
  const agent = agentRevisions.size / counted;
  const master = masterRevisions.size / counted;
  return { perExecution: agent + master, agent, master, leasesBefore, leasesAfter };
}

async function countLeases(fleet: BenchFleet): Promise<number> {
  const answer = await fetch(`${fleet.etcd}/v3/lease/leases`, { method: "POST", body: "{}" });
  const { leases } = (await answer.json()) as { leases?: unknown[] };
  return leases?.length ?? 0;
}
