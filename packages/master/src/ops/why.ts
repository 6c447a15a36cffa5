/** "Why did it (not) run?": finds the tick that is meant, gathers what is known of it, and lets why-verdict.ts conclude. */
import { type EpochMs, fromIso, toIso } from "fleetcron-shared/base/clock";
import { firstIdAt, idTimeMs } from "fleetcron-shared/base/ids";
import type { Claim } from "fleetcron-shared/model/facts";
import type { Job, Rule } from "fleetcron-shared/model/job";
import { NO_NODE, spanOf } from "fleetcron-shared/model/missed";
import { type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import { prefixEnd, prefixRange } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { WhyResult } from "../http/api-schema.ts";
import type { JobEntry } from "../views.ts";
import { auditRecordsOver, withoutStale } from "./audit-records.ts";
import { matchingNodes } from "./choose-nodes.ts";
import { listRecords } from "./list-records.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { scan } from "./scan.ts";
import { explain, type WhyFacts } from "./why-verdict.ts";

type WhyDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "timetable" | "archive" | "caller">;
type Tick = { readonly rule: Rule; readonly dueMs: EpochMs; readonly inWindow: boolean };

/** Clocks of nodes may differ by this much: an execution may bear an earlier time than its tick. */
const CLOCK_TOLERANCE_MS = 60_000;
const MAX_READ = 5000;
const PAGE = 500;
/** So long after its tick an execution is looked for in the history to have ended. */
const ARCHIVE_REACH_MS = [5 * 60_000, 3_600_000, 26 * 3_600_000, 8 * 86_400_000];

/** `at` undefined asks for the latest tick, or the first one when none has been due yet. */
export async function why(deps: WhyDeps, entry: JobEntry, at: string | undefined): Promise<WhyResult> {
  const { job } = entry;
  const nowMs = deps.clock.now();
  const atMs = at === undefined ? undefined : fromIso(at);
  const nextMs = deps.timetable.next(job, Math.max(nowMs, atMs ?? 0));
  const next = nextMs === undefined ? null : toIso(nextMs);
  const tick = findTick(deps, job, atMs, nowMs);
  if (tick === undefined) return { ...notDue(deps, job, atMs), next, records: [], facts: [...jobFacts(deps, job)] };

  const facts = await gather(deps, job, tick, nowMs);
  const answer = explain(facts);
  return {
    dueAt: toIso(tick.dueMs),
    rule: tick.rule.id,
    ...answer,
    next,
    records: [...facts.records],
    ...(facts.claim === undefined ? {} : { claim: facts.claim }),
    facts: [...jobFacts(deps, job), ...tickFacts(facts)],
  };
}

function findTick(deps: WhyDeps, job: Job, atMs: EpochMs | undefined, nowMs: EpochMs): Tick | undefined {
  const ticks = job.rules.flatMap((rule): Tick[] => {
    if (atMs === undefined) {
      const last = deps.timetable.of(job, rule).lastAtOrBefore(nowMs);
      return last === undefined ? [] : [{ rule, dueMs: last, inWindow: true }];
    }
    const isDue = (asked: Rule) => deps.timetable.of(job, asked).lastAtOrBefore(atMs) === atMs;
    if (isDue(rule)) return [{ rule, dueMs: atMs, inWindow: true }];
    return isDue({ ...rule, fromMs: undefined, untilMs: undefined }) ? [{ rule, dueMs: atMs, inWindow: false }] : [];
  });
  const latest = ticks.sort((a, b) => b.dueMs - a.dueMs || Number(b.inWindow) - Number(a.inWindow))[0];
  if (latest !== undefined || atMs !== undefined) return latest;
  const first = job.rules
    .map((rule) => ({ rule, dueMs: deps.timetable.of(job, rule).nextAfter(nowMs) }))
    .filter((candidate): candidate is { rule: Rule; dueMs: EpochMs } => candidate.dueMs !== undefined)
    .sort((a, b) => a.dueMs - b.dueMs)[0];
  return first === undefined ? undefined : { ...first, inWindow: true };
}

function notDue(deps: WhyDeps, job: Job, atMs: EpochMs | undefined): Pick<WhyResult, "dueAt" | "rule" | "verdict" | "reason" | "text"> {
  const about = { dueAt: null, rule: null, verdict: "notDue", reason: null } as const;
  if (atMs === undefined) return { ...about, text: "No rule of this job has ever been due or will be." };
  const before = job.rules.map((rule) => deps.timetable.of(job, rule).lastAtOrBefore(atMs)).filter((tick) => tick !== undefined);
  const after = deps.timetable.next(job, atMs);
  const near = [
    ...(before.length === 0 ? [] : [`the one before was due at ${toIso(Math.max(...before))}`]),
    ...(after === undefined ? [] : [`the one after at ${toIso(after)}`]),
  ];
  return { ...about, text: `No rule of this job names ${toIso(atMs)}${near.length === 0 ? "" : `; ${near.join(", ")}`}.` };
}

async function gather(deps: WhyDeps, job: Job, { rule, dueMs, inWindow }: Tick, nowMs: EpochMs): Promise<WhyFacts> {
  const { kv, keys, views } = deps;
  const prefix = keys.recordsOf(job.group, job.id);
  const oldest = await kv.range({ ...prefixRange(prefix), limit: 1, keysOnly: true });
  const claimKv = job.kind === "common" ? undefined : await kv.get(keys.claim(job.group, job.id, rule.id, dueMs));
  const dueAt = toIso(dueMs);
  const running = [...views.procs.entries()].map(([, entry]) => entry);
  return {
    nowMs,
    job,
    rule,
    dueMs,
    inWindow,
    records: await recordsOfTick(deps, job, rule, dueMs),
    claim: claimKv === undefined ? undefined : tryDecode<Claim>(claimKv.key, claimKv.value),
    runningOn: running
      .filter(({ group, job: id, proc }) => group === job.group && id === job.id && proc.ruleId === rule.id && proc.dueAt === dueAt)
      .map(({ node }) => node),
    nodes: matchingNodes(views, keys, { ...job, rules: [rule] }),
    oldestRecordMs: idTimeMs(oldest.kvs[0]?.key.slice(prefix.length) ?? ""),
  };
}

async function recordsOfTick(deps: WhyDeps, job: Job, rule: Rule, dueMs: EpochMs): Promise<ExecutionRecord[]> {
  const prefix = deps.keys.recordsOf(job.group, job.id);
  const isOfTick = (record: ExecutionRecord) => {
    const span = spanOf(record);
    return span !== undefined && span.ruleId === rule.id && span.firstMs <= dueMs && span.lastMs >= dueMs;
  };
  const found = (await auditRecordsOver(deps, job, dueMs - CLOCK_TOLERANCE_MS)).filter(isOfTick);
  let read = 0;
  for await (const kv of scan(deps.kv, { start: prefix + firstIdAt(dueMs - CLOCK_TOLERANCE_MS), end: prefixEnd(prefix) })) {
    const record = tryDecode<ExecutionRecord>(kv.key, kv.value);
    if (record !== undefined && isOfTick(record) && !found.some(({ id }) => id === record.id)) found.push(record);
    read += 1;
    if (read >= MAX_READ) break;
  }
  // What etcd holds is newer than the same in the history.
  const archived = found.length > 0 ? [] : await archivedOfTick(deps, job, dueMs, isOfTick);
  return withoutStale([...found, ...archived]);
}

/** Those that have left etcd. Most end soon after their tick: the nearest span of time in which there are any is enough. */
async function archivedOfTick(
  deps: WhyDeps,
  job: Job,
  dueMs: EpochMs,
  isOfTick: (record: ExecutionRecord) => boolean,
): Promise<ExecutionRecord[]> {
  if (deps.archive === undefined) return [];
  let since = dueMs - CLOCK_TOLERANCE_MS;
  for (const reachMs of ARCHIVE_REACH_MS) {
    const until = dueMs + reachMs;
    const found: ExecutionRecord[] = [];
    let cursor: string | undefined;
    let read = 0;
    do {
      const page = await listRecords(deps, { job: job.key, since: toIso(since), until: toIso(until), limit: PAGE, cursor });
      found.push(...page.items.filter(isOfTick));
      read += page.items.length;
      cursor = page.next;
    } while (cursor !== undefined && read < MAX_READ);
    if (found.length > 0) return found;
    since = until;
  }
  return [];
}

function jobFacts(deps: WhyDeps, job: Job): string[] {
  return [
    `the job is ${job.kind}, created ${toIso(job.createdAtMs)}, changed ${toIso(job.updatedAtMs)}${job.pause ? ", paused" : ""}`,
    ...job.rules.map((rule) => `rule ${rule.id}: ${deps.timetable.of(job, rule).words}`),
  ];
}

function tickFacts({ nodes, claim, records, runningOn, rule }: WhyFacts): string[] {
  const state = (node: WhyFacts["nodes"][number]) =>
    `${node.id} (${node.online ? "online" : "offline"}${node.draining ? ", draining" : ""})`;
  return [
    nodes.length === 0
      ? `no registered node matches rule ${rule.id}`
      : `rule ${rule.id} matches ${nodes.slice(0, 20).map(state).join(", ")}${nodes.length > 20 ? ` and ${nodes.length - 20} more` : ""}`,
    ...(claim === undefined
      ? []
      : [`claimed by ${claim.node} at ${claim.at}${claim.verdict === undefined ? "" : `, verdict ${claim.verdict}`}`]),
    ...runningOn.map((node) => `runs on ${node}`),
    ...records
      .slice(0, 20)
      .map(
        (record) =>
          `record ${record.id}: ${outcomeWord(record.outcome)}${record.nodeId === NO_NODE ? "" : ` on ${record.nodeId}`}, ended ${record.endTime}`,
      ),
  ];
}
