/**
 * Moves records from `inbox` to `records`, each exactly once, counting it in `stats` and ordering what `onNodeLost: rerun` asks for, all in
 * one transaction under the term; several at a time when much waits. The first try trusts what is known here (one round trip); when it is
 * refused, the facts are read and it is tried again with them. Etcd away: records wait in the inbox.
 */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError, isCode } from "fleetcron-shared/base/errors";
import type { JobStats } from "fleetcron-shared/model/facts";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { type LeaseId, prefixEnd, type Revision } from "fleetcron-shared/store/kv";
import { openMirror } from "fleetcron-shared/store/mirror";
import { noticesOfRecord } from "../notify/notices.ts";
import { FILING_BATCH, type FilingFacts, type FilingItem, type FilingPlan, planFiling, type Standing, type StatsBefore } from "./filing.ts";
import { readFilingFacts } from "./filing-facts.ts";
import { resultEffects } from "./filing-result.ts";
import { firstOf } from "./first-of.ts";
import { createInboxQueue } from "./inbox-queue.ts";
import { type LeaderDeps, type LeaderService, leaderStep } from "./leader-deps.ts";
import { startLoop } from "./loop.ts";
import { rerunOrder } from "./rerun.ts";
import { shareOut } from "./share-out.ts";
import { taskAdditions } from "./task-record.ts";

export type Filer = LeaderService & {
  /** Queues a verdict that the leader itself has found; it is filed unless the node has delivered a record by then. */
  fileVerdict(record: ExecutionRecord, options: { onlyWhileGone: boolean }): void;
  /** Calls `fn` with what was filed; the returned function ends that. */
  onFiled(fn: (records: readonly ExecutionRecord[]) => void): () => void;
  /** Resolves when everything that nodes had delivered when this was called, and every verdict, is filed. */
  settled(signal: AbortSignal): Promise<void>;
};

/** Whether filing the record may put orders, which need a lease. */
function mayOrder(record: ExecutionRecord): boolean {
  return record.outcome.type === "lost" || record.result?.next !== undefined;
}

/** When much waits, so many transactions are under way at a time: where etcd is busy with what agents write, one after the other would fall ever further behind. */
const AT_ONCE = 8 * FILING_BATCH;

/** Statistics written by this term are remembered until the view shows them; so many at most before that is looked at. */
const REMEMBERED_STATS = 1000;

export function startFiler(deps: LeaderDeps): Filer {
  const { keys, views, term } = deps;
  const log = deps.log.child({ service: "filer" });
  const queue = createInboxQueue({ ...deps, log });
  const verdicts = new Set<FilingItem>();
  const known = new Map<string, StatsBefore>();
  const listeners = new Set<(records: readonly ExecutionRecord[]) => void>();
  let wake = () => {};

  function knownStats(key: string): StatsBefore | undefined {
    const seen = views.stats.get(key);
    const own = known.get(key);
    return own !== undefined && own.revision >= (seen?.revision ?? 0) ? own : seen;
  }

  function knownMark(key: string): Standing | undefined {
    return views.globals.get(key) ?? views.conditions.get(key);
  }

  function remember(stats: ReadonlyMap<string, JobStats>, revision: Revision): void {
    for (const [key, value] of stats) known.set(key, { revision, stats: value });
    if (known.size <= REMEMBERED_STATS) return;
    for (const [key, own] of known) if ((views.stats.get(key)?.revision ?? 0) >= own.revision) known.delete(key);
  }

  function plan(
    items: readonly FilingItem[],
    facts: Omit<FilingFacts, "rerun" | "effects" | "notices" | "task">,
    lease: LeaseId | undefined,
  ): FilingPlan {
    const rerun = (record: ExecutionRecord) => (lease === undefined ? undefined : rerunOrder(deps, lease, record));
    const effects = (record: ExecutionRecord) => resultEffects(deps, lease, record);
    const notices: FilingFacts["notices"] = (record, stats, replaced) =>
      noticesOfRecord(views.jobs.get(keys.job(record.jobGroup, record.jobId))?.job, record, stats.before, stats.after, replaced);
    return planFiling(keys, toIso(deps.clock.now()), items, {
      ...facts,
      rerun,
      effects,
      notices,
      task: (record) => taskAdditions(keys, record),
    });
  }

  /** What nodes have delivered is filed now or was before; a verdict may have been given up instead. */
  function tell(items: readonly FilingItem[], givenUp: readonly FilingItem[]): void {
    const records = items.filter((item) => item.inbox !== undefined || !givenUp.includes(item)).map(({ record }) => record);
    for (const listener of listeners) listener(records);
  }

  /** Files what fits one transaction; returns the items that are dealt with. */
  async function file(items: readonly FilingItem[], lease: LeaseId | undefined): Promise<readonly FilingItem[]> {
    const trusting = plan(items, { filed: () => undefined, stats: knownStats, standing: knownMark }, lease);
    const first = await leaderStep(deps, "file", trusting);
    if (first.succeeded) {
      remember(trusting.stats, first.revision);
      tell(items.slice(0, trusting.taken), []);
      return items.slice(0, trusting.taken);
    }
    const tried = items.slice(0, trusting.taken);
    const marks = tried.flatMap(({ record }) => resultEffects(deps, lease, record)?.marks.map(({ key }) => key) ?? []);
    const facts = await readFilingFacts(deps, tried, marks);
    for (const key of facts.statsKeys) {
      const stats = facts.stats(key);
      if (stats === undefined) known.delete(key);
      else known.set(key, stats);
    }
    const open = tried.filter(facts.isOpen);
    const closed = tried.filter((item) => !facts.isOpen(item));
    tell(closed, closed);
    if (open.length === 0) return closed;
    const exact = plan(open, facts, lease);
    const second = await leaderStep(deps, "file", exact);
    if (!second.succeeded) return closed;
    remember(exact.stats, second.revision);
    tell(open.slice(0, exact.taken), []);
    return [...closed, ...open.slice(0, exact.taken)];
  }

  async function round(): Promise<void> {
    const delivered = await queue.take(AT_ONCE);
    const items = [...delivered, ...firstOf(verdicts, AT_ONCE - delivered.length)];
    if (items.length === 0) return;
    const lease = items.some(({ record }) => mayOrder(record)) ? await deps.orderLease.current() : undefined;
    const shares = await Promise.allSettled(shareOut(items).map((share) => file(share, lease)));
    const done = shares.flatMap((share) => (share.status === "fulfilled" ? share.value : []));
    deps.observe?.filed(done.map(({ record }) => record));
    for (const item of done) {
      queue.drop(item);
      verdicts.delete(item);
    }
    wake();
    const errors = shares.flatMap((share) => (share.status === "rejected" ? [share.reason] : []));
    if (lease !== undefined && errors.some((error) => isCode(error, "etcd/lease-gone"))) deps.orderLease.forget(lease);
    if (errors.length > 0) throw errors[0];
    if (done.length === 0) throw new AppError("write/conflict", "records changed while they were filed");
    log.debug({ filed: done.length, waiting: queue.size }, "records filed");
    if (queue.size > 0 || verdicts.size > 0) loop.kick();
  }

  const loop = startLoop({ ...deps, log }, term.ended, round);
  const mirror = openMirror(deps, {
    prefix: keys.inbox,
    onEvents(events) {
      queue.follow(events);
      if (queue.size > 0) loop.kick();
      wake();
    },
  });
  return {
    fileVerdict(record, { onlyWhileGone }) {
      verdicts.add({ inboxKey: keys.inboxRecord(record.nodeId, record.id), inbox: undefined, record, onlyWhileGone });
      loop.kick();
    },
    onFiled(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
    async settled(signal) {
      const { revision } = await deps.kv.range({ start: keys.inbox, end: prefixEnd(keys.inbox), countOnly: true });
      await mirror.reached(revision);
      const awaited = [...verdicts];
      const isDone = () => queue.isPast(revision) && !awaited.some((item) => verdicts.has(item));
      while (!signal.aborted && !isDone()) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
        await promise;
      }
    },
    async stop() {
      await mirror.close();
      await loop.stop();
    },
  };
}
