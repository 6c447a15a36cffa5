/**
 * What nodes have claimed or started and never reported, from etcd and from the processes last seen. Reads every claim, so it is only asked when
 * a node is gone for good or has come back as another instance. Etcd away: it throws.
 */
import { toIso } from "fleetcron-shared/base/clock";
import { placeOf } from "fleetcron-shared/base/sorted";
import type { Claim } from "fleetcron-shared/model/facts";
import { JOB_DEFAULTS } from "fleetcron-shared/model/job-compile";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { prefixEnd } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import { toKey } from "../job-ref.ts";
import { readKeys } from "../ops/read-keys.ts";
import { scan, scanPrefix } from "../ops/scan.ts";
import type { ProcEntry } from "../views.ts";
import type { LeaderDeps } from "./leader-deps.ts";
import { type KnownAttempt, lostAttempt, lostRecord, mayBePruned, type Suspect } from "./lost.ts";

/** A node whose open executions are asked for. */
export type Absence = {
  /** When the instance that is there now began; what is older belongs to an instance that is no more. Undefined: the node is gone. */
  readonly backAt: string | undefined;
  /** Processes that went with the node's session. */
  readonly procs: readonly ProcEntry[];
};

/** The records to file, by node. */
export async function findLost(
  deps: Pick<LeaderDeps, "kv" | "keys" | "clock" | "views">,
  absences: ReadonlyMap<string, Absence>,
): Promise<ExecutionRecord[]> {
  const { kv, keys, clock, views } = deps;

  /**
   * A node that is there speaks for what its present instance has begun, and for what it shows as running. One that nobody has asked about is
   * left alone, unless it is forgotten: nobody will ask about that.
   */
  function isOpen(node: string, execution: string, begun: string, running: ReadonlySet<string>): boolean {
    const absence = absences.get(node);
    if (absence === undefined) return views.nodes.get(keys.node(node)) === undefined;
    return absence.backAt === undefined || (begun < absence.backAt && !running.has(execution));
  }

  async function suspects(): Promise<Suspect[]> {
    const found = new Map<string, Suspect>();
    const running = new Set([...views.procs.entries()].map(([, { proc }]) => proc.execution));
    for await (const entry of scanPrefix(kv, keys.claims)) {
      const [, group = "", id = "", ruleId, dueAt] = keys.parts(entry.key);
      const claim = tryDecode<Claim>(entry.key, entry.value);
      if (claim === undefined || claim.verdict !== undefined || !isOpen(claim.node, claim.execution, claim.at, running)) continue;
      found.set(claim.execution, { group, id, node: claim.node, execution: claim.execution, attempt: 1, ruleId, dueAt });
    }
    for (const [node, { procs }] of absences) {
      for (const { group, job, proc } of procs) {
        if (isOpen(node, proc.execution, proc.startedAt, running)) found.set(proc.execution, { ...proc, group, id: job, node });
      }
    }
    return [...found.values()];
  }

  /** Attempts that the nodes have delivered and that are not filed yet, by execution. */
  async function deliveredBy(): Promise<Map<string, KnownAttempt[]>> {
    const found = new Map<string, KnownAttempt[]>();
    for (const node of absences.keys()) {
      for await (const entry of scanPrefix(kv, keys.inboxOf(node))) {
        const record = tryDecode<ExecutionRecord>(entry.key, entry.value);
        if (record === undefined) continue;
        found.set(record.execution, [...(found.get(record.execution) ?? []), knownAttempt(record)]);
      }
    }
    return found;
  }

  async function lostOfJob(ofJob: readonly Suspect[], inbox: ReadonlyMap<string, KnownAttempt[]>): Promise<ExecutionRecord[]> {
    const [{ group, id } = { group: "", id: "" }] = ofJob;
    const entry = views.jobs.get(keys.job(group, id));
    const prefix = keys.recordsOf(group, id);
    const oldest = ofJob.map(({ execution }) => execution).sort()[0] ?? "";
    /** Sorted, as etcd gives them. */
    const filed: string[] = [];
    for await (const { key } of scan(kv, { start: prefix + oldest, end: prefixEnd(prefix), keysOnly: true }))
      filed.push(key.slice(prefix.length));
    const found: ExecutionRecord[] = [];
    for (const suspect of ofJob) {
      const before = (id: string) => placeOf(filed, (record) => record < id);
      const [from, to] = [before(`${suspect.execution}-`), before(`${suspect.execution}-~`)];
      const own = filed.slice(from, to);
      // Without retries one record is all there will be; the values need not be read.
      if (own.length > 0 && entry?.job.retry.limit === 0) continue;
      if (mayBePruned(suspect.execution, filed.length - to, entry?.job.retain ?? JOB_DEFAULTS.retain, clock.now())) continue;
      const known = [...(inbox.get(suspect.execution) ?? []), ...(await attempts(own.map((record) => prefix + record)))];
      const attempt = lostAttempt(suspect, known);
      if (attempt === undefined) continue;
      const hostname = views.nodes.get(keys.node(suspect.node))?.info.hostname ?? suspect.node;
      const about = { hostname, name: entry?.job.name ?? id, jobRevision: entry?.job.revision ?? 0, endTime: toIso(clock.now()) };
      found.push(lostRecord(suspect, attempt, about));
    }
    return found;
  }

  async function attempts(recordKeys: readonly string[]): Promise<KnownAttempt[]> {
    const read = await readKeys(kv, recordKeys);
    return [...read].flatMap(([key, entry]) => {
      const record = entry === undefined ? undefined : tryDecode<ExecutionRecord>(key, entry.value);
      return record === undefined ? [] : [knownAttempt(record)];
    });
  }

  const byJob = Map.groupBy(await suspects(), toKey);
  if (byJob.size === 0) return [];
  const inbox = await deliveredBy();
  const found: ExecutionRecord[] = [];
  for (const ofJob of byJob.values()) found.push(...(await lostOfJob(ofJob, inbox)));
  return found;
}

/** What follows a lost attempt is another execution (a rerun), so it is the end of this one. */
function knownAttempt(record: ExecutionRecord): KnownAttempt {
  return { attempt: record.attempt, final: record.finalAttempt || record.outcome.type === "lost" };
}
