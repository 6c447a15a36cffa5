/**
 * Ticks without a verdict that may still get one: too young, running, waiting for their turn or for a retry, or a node that is away may bring it.
 */
import { type EpochMs, fromIso } from "fleetcron-shared/base/clock";
import type { Target, Verdict } from "fleetcron-shared/check/history";
import type { Claim } from "fleetcron-shared/model/facts";
import type { Job } from "fleetcron-shared/model/job";
import { tryDecode } from "fleetcron-shared/wire/codec";
import { matchingNodes } from "./choose-nodes.ts";
import { procsOf } from "./list-executions.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { readKeys } from "./read-keys.ts";

type PendingDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "missedAfterMs">;

export type Waiting = {
  /** As far as memory tells. */
  isWaiting(target: Target): boolean;
  /** Without what the auditor says of ticks that are still waited for: it may take that back in a moment. */
  settled(verdicts: readonly Verdict[]): Verdict[];
  /** Of silent targets of the whole cluster, those whose claim belongs to a node that is away. */
  claimedByAbsent(targets: readonly Target[]): Promise<ReadonlySet<Target>>;
};

/** The auditor says `missed` after this by default, and takes a moment to. */
const MISSED_AFTER_MS = 60_000;
const SPARE_MS = 10_000;

export function createWaiting(deps: PendingDeps, job: Job, verdicts: readonly Verdict[]): Waiting {
  const { kv, keys, views, clock } = deps;
  const nowMs = clock.now();
  const graceMs = (deps.missedAfterMs ?? MISSED_AFTER_MS) + job.holdForMs + SPARE_MS;
  const jitter = new Map(job.rules.map(({ id, jitterMs }) => [id, jitterMs]));
  const nodes = matchingNodes(views, keys, job);
  const isAway = (node: string) => views.alive.get(keys.alive(node)) === undefined;
  const running = new Set(
    procsOf(deps, { job: job.key }).map(
      ({ node, proc }) => `${proc.ruleId} ${fromIso(proc.dueAt ?? "")} ${job.kind === "common" ? node : ""}`,
    ),
  );
  const mayQueue =
    job.overlap === "queue" || job.overlap === "replace" || nodes.some(({ id }) => (views.alive.get(keys.alive(id))?.queued ?? 0) > 0);
  const retryUntil = retries(job, verdicts, graceMs);

  const youngMs = (rule: string) => graceMs + (jitter.get(rule) ?? 0) + (mayQueue ? job.misfireWindowMs : 0);

  return {
    settled: (all) =>
      all.flatMap((verdict) => {
        const { provisional, outcome, dueMs = 0, dueUntilMs = dueMs, rule = "" } = verdict;
        const oldMs = nowMs - youngMs(rule);
        if (!provisional || !outcome.startsWith("missed:") || dueUntilMs <= oldMs) return [verdict];
        return dueMs > oldMs ? [] : [{ ...verdict, dueUntilMs: oldMs }];
      }),
    isWaiting(target) {
      const { rule, dueMs, node = "" } = target;
      const key = `${rule} ${dueMs} ${node}`;
      if (running.has(key) || (retryUntil.get(key) ?? 0) > nowMs) return true;
      return nowMs < dueMs + youngMs(rule) || (target.node !== undefined && isAway(target.node));
    },
    async claimedByAbsent(targets) {
      const asked = new Map(targets.map((target) => [keys.claim(job.group, job.id, target.rule, target.dueMs), target]));
      const found = new Set<Target>();
      for (const [key, entry] of await readKeys(kv, [...asked.keys()])) {
        const claim = entry === undefined ? undefined : tryDecode<Claim>(key, entry.value);
        const target = asked.get(key);
        if (claim !== undefined && target !== undefined && isAway(claim.node)) found.add(target);
      }
      return found;
    },
  };
}

/** Until when another attempt of a tick may be waited for, by its rule, time and node. */
function retries(job: Job, verdicts: readonly Verdict[], graceMs: number): ReadonlyMap<string, EpochMs> {
  const { delayMs, maxDelayMs, backoff, jitter } = job.retry;
  const longestMs = (backoff === "exponential" ? maxDelayMs : delayMs) * (1 + jitter) + job.timeoutMs + graceMs;
  const until = new Map<string, EpochMs>();
  for (const { final, ran, rule, dueMs, node, endMs = 0 } of verdicts) {
    if (final || !ran) continue;
    const key = `${rule} ${dueMs} ${job.kind === "common" ? node : ""}`;
    until.set(key, Math.max(until.get(key) ?? 0, endMs + longestMs));
  }
  return until;
}
