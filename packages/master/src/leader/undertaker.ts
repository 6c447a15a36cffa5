/**
 * Gives the verdict `lost` to what a vanished node had claimed or started and never reported. A node counts as vanished when its `alive` key has
 * been gone for `lostAfter` (counted anew by each leader). Everything else is derived from etcd, so it does not matter who led before. The verdict
 * is provisional: the node's own record replaces it. Claims are only read when a node has vanished. Etcd away: nobody is declared lost.
 */
import { type MonoMs, toIso } from "fleetcron-shared/base/clock";
import type { Claim } from "fleetcron-shared/model/facts";
import { JOB_DEFAULTS } from "fleetcron-shared/model/job-compile";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { prefixEnd } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import { toKey } from "../job-ref.ts";
import { readKeys } from "../ops/read-keys.ts";
import { scan, scanPrefix } from "../ops/scan.ts";
import type { Filer } from "./filer.ts";
import { followProcs } from "./last-seen.ts";
import type { LeaderDeps, LeaderService } from "./leader-deps.ts";
import { startLoop } from "./loop.ts";
import { type KnownAttempt, lostAttempt, lostRecord, mayBePruned, type Suspect } from "./lost.ts";

export function startUndertaker(deps: LeaderDeps & { filer: Filer }, options: { lostAfterMs: number }): LeaderService {
  const { kv, keys, clock, views, term } = deps;
  const log = deps.log.child({ service: "undertaker" });
  const goneSince = new Map<string, MonoMs>();
  const lastSeen = followProcs(deps);
  let disarm = () => {};

  function judge(node: string): void {
    if (views.alive.get(keys.alive(node)) !== undefined) goneSince.delete(node);
    else if (!goneSince.has(node)) goneSince.set(node, clock.mono());
    arm();
  }

  /** One timer, for the node that has been gone for longest. */
  function arm(): void {
    disarm();
    const first = Math.min(...[...goneSince.values()].filter((since) => since !== Number.POSITIVE_INFINITY));
    if (first !== Number.POSITIVE_INFINITY) disarm = clock.after(Math.max(0, first + options.lostAfterMs - clock.mono()), loop.kick);
  }

  async function round(signal: AbortSignal): Promise<void> {
    const vanished = new Set([...goneSince].filter(([, since]) => since + options.lostAfterMs <= clock.mono()).map(([node]) => node));
    if (vanished.size > 0) {
      const verdicts = await findLost(vanished);
      if (signal.aborted) return;
      for (const node of vanished) {
        // A node that has come back meanwhile speaks for itself; one that stays away is not looked at again.
        if (goneSince.has(node)) goneSince.set(node, Number.POSITIVE_INFINITY);
        lastSeen.forget(node);
      }
      const still = verdicts.filter((record) => views.alive.get(keys.alive(record.nodeId)) === undefined);
      for (const record of still) deps.filer.fileVerdict(record);
      log.info({ nodes: [...vanished], lost: still.length }, "nodes are gone, their open executions are lost");
    }
    arm();
  }

  async function findLost(nodes: ReadonlySet<string>): Promise<ExecutionRecord[]> {
    const byJob = Map.groupBy(await suspects(nodes), toKey);
    const inbox = await deliveredBy(nodes);
    const found: ExecutionRecord[] = [];
    for (const [, ofJob] of byJob) found.push(...(await lostOfJob(ofJob, inbox)));
    return found;
  }

  /** Processes that went with the nodes, and every claim of theirs. */
  async function suspects(nodes: ReadonlySet<string>): Promise<Suspect[]> {
    const found = new Map<string, Suspect>();
    for await (const entry of scanPrefix(kv, keys.claims)) {
      const [, group = "", id = "", ruleId, dueAt] = keys.parts(entry.key);
      const claim = tryDecode<Claim>(entry.key, entry.value);
      if (claim === undefined || claim.verdict !== undefined || !nodes.has(claim.node)) continue;
      found.set(claim.execution, { group, id, node: claim.node, execution: claim.execution, attempt: 1, ruleId, dueAt });
    }
    for (const node of nodes) {
      for (const { group, job, proc } of lastSeen.of(node)) found.set(proc.execution, { ...proc, group, id: job, node });
    }
    return [...found.values()];
  }

  /** Attempts that the nodes have delivered and that are not filed yet, by execution. */
  async function deliveredBy(nodes: ReadonlySet<string>): Promise<Map<string, KnownAttempt[]>> {
    const found = new Map<string, KnownAttempt[]>();
    for (const node of nodes) {
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
    const filed: string[] = [];
    for await (const { key } of scan(kv, { start: prefix + oldest, end: prefixEnd(prefix), keysOnly: true }))
      filed.push(key.slice(prefix.length));
    const found: ExecutionRecord[] = [];
    for (const suspect of ofJob) {
      const own = filed.filter((record) => record.startsWith(`${suspect.execution}-`));
      // Without retries one record is all there will be; the values need not be read.
      if (own.length > 0 && entry?.job.retry.limit === 0) continue;
      const newer = filed.filter((record) => record > `${suspect.execution}-~`).length;
      if (mayBePruned(suspect.execution, newer, entry?.job.retain ?? JOB_DEFAULTS.retain, clock.now())) continue;
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

  const loop = startLoop({ ...deps, log }, term.ended, round);
  for (const [, { info }] of views.nodes.entries()) judge(info.id);
  const unsubscribe = [
    views.alive.onChange((changes) => {
      for (const { key } of changes) judge(keys.parts(key)[1] ?? "");
    }),
    views.nodes.onChange((changes) => {
      for (const { value } of changes) if (value !== undefined) judge(value.info.id);
    }),
  ];
  return {
    async stop() {
      for (const end of [...unsubscribe, lastSeen.close, disarm]) end();
      await loop.stop();
    },
  };
}

/** What follows a lost attempt is another execution (a rerun), so it is the end of this one. */
function knownAttempt(record: ExecutionRecord): KnownAttempt {
  return { attempt: record.attempt, final: record.finalAttempt || record.outcome.type === "lost" };
}
