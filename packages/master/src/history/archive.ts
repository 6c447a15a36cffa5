/**
 * Copies what is filed into etcd to the history, each once, in the order of revisions, in batches, with a position that is stored with the batch; and reads
 * through it. Runs in every master: whoever fills the history (the leader when all masters share one, else each its own) appends; the others drop
 * from their tail what the position says is there. The database away: the queue waits, tries are spaced out up to a minute, reads do without it at once.
 * Etcd away: nothing is filed either. Nothing here is waited for by what runs jobs.
 */
import { backoffMs } from "fleetcron-shared/base/backoff";
import { asAppError, isCode } from "fleetcron-shared/base/errors";
import type { RunPlan } from "fleetcron-shared/model/pipeline/plan";
import { prefixRange, type Revision } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { Batch, History, HistoryFacts, RecordQuery, RecordSlice } from "./history.ts";
import { createHold, type Hold } from "./hold.ts";
import { mergeTail } from "./merge.ts";
import { type Filed, filedOf, openTail, type Tail, type TailDeps } from "./tail.ts";

export type ArchiveState = "opening" | "ok" | "behind" | "away";
export type ArchiveStatus = {
  readonly kind: History["kind"];
  readonly where: string;
  readonly state: ArchiveState;
  /** What is wrong, and what to do. */
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
  /** Filed and not in the archive yet, as far as it is counted. */
  readonly waiting: number;
  /** Kept in etcd beyond retention because of that. */
  readonly held: number;
  /** Deleted from etcd before they were archived. */
  readonly letGo: number;
  readonly facts?: HistoryFacts;
};

export type Archive = {
  readonly hold: Hold;
  status(): Promise<ArchiveStatus>;
  /** In words, while the history does not answer. */
  trouble(): string | undefined;
  /** Undefined: the history cannot answer for everything now, ask etcd alone. */
  records(query: RecordQuery): Promise<RecordSlice | undefined>;
  /** Asks the history, if it answers. */
  read<T>(work: (history: History) => Promise<T>): Promise<T | undefined>;
  close(): Promise<void>;
};

export type ArchiveOptions = { readonly cluster: string; readonly retentionMs: number; isLeading(): boolean };

const BATCH = 500;
const SCAN_PAGE = 250;
/** After the first of a batch: others come with it. */
const GATHER_MS = 150;
/** How often one that does not append asks for the position while something waits, and everybody looks whether it is his turn. */
const LOOK_MS = 1000;
/** A position without anything new is stored so often, so that etcd's compaction is not felt. */
const POSITION_MS = 60_000;
const EXPIRE_MS = 3_600_000;
/** Counting takes a moment. */
const FACTS_MS = 5000;
const BACKOFF = { firstMs: 500, maxMs: 60_000 };

export function openArchive(deps: TailDeps, history: History, options: ArchiveOptions): Archive {
  const { kv, keys, clock, random } = deps;
  const log = deps.log.child({ service: "archive", history: history.where });
  const closing = new AbortController();
  let position: Revision | undefined;
  let storedAt = 0;
  let isOpen = false;
  let failure: ArchiveStatus["error"];
  let expireAt = 0;
  let wake = () => {};
  const tail: Tail = openTail({ ...deps, log }, () => wake());
  const hold = createHold({ log }, () => position ?? 0);

  const appends = () => !history.isShared || options.isLeading();

  function failed(thrown: unknown): void {
    const { code, message, hint } = asAppError(thrown);
    if (failure === undefined) log.error({ err: thrown, code }, "the history is away: records wait in etcd");
    failure = { code, message, ...(hint === undefined ? {} : { hint }) };
    isOpen = false;
  }

  async function open(): Promise<void> {
    await history.open(options.cluster);
    const stored = await history.position();
    const { revision } = await kv.range({ start: keys.meta, end: `${keys.meta}\0`, countOnly: true });
    // A position that etcd has not reached is one of an etcd that was put back: then all is looked at.
    position = stored !== undefined && stored <= revision ? stored : undefined;
    if (position !== undefined && tail.state() === "idle") tail.follow(position);
    isOpen = true;
    if (failure !== undefined) log.info({}, "the history is back");
    failure = undefined;
  }

  async function toBatch(filed: readonly Filed[], upTo: Revision | undefined): Promise<Batch> {
    const records = filed.flatMap((entry) => (entry.type === "record" ? [entry.record] : []));
    const runs: Batch["runs"][number][] = [];
    for (const entry of filed) {
      if (entry.type !== "run") continue;
      const { run, revision } = entry;
      const plan = await kv.get(keys.plan(run.group, run.pipeline, run.id));
      const held = plan === undefined ? undefined : tryDecode<RunPlan>(plan.key, plan.value);
      // A run without its plan is one that was deleted this moment.
      if (held !== undefined) runs.push({ run, plan: held, revision });
    }
    return { records, runs, ...(upTo === undefined ? {} : { upTo }) };
  }

  /** Everything that etcd holds; what is filed meanwhile is in the tail afterwards. */
  async function scan(): Promise<void> {
    let from: Revision | undefined;
    let count = 0;
    for (const prefix of [keys.records, keys.runs]) {
      let { start, end } = prefixRange(prefix);
      for (let more = true; more; ) {
        const page = await kv.range({ start, end, limit: SCAN_PAGE });
        from ??= page.revision;
        more = page.more;
        start = `${page.kvs.at(-1)?.key ?? start}\0`;
        const filed = page.kvs.flatMap((entry) => filedOf(keys, entry) ?? []);
        if (filed.length > 0) await history.append(await toBatch(filed, undefined));
        count += filed.length;
        if (closing.signal.aborted || !appends()) return;
      }
    }
    if (from === undefined) return;
    await history.append({ records: [], runs: [], upTo: from, anew: true });
    position = from;
    tail.follow(from);
    log.info({ count, upTo: from }, "everything that etcd holds is in the history");
  }

  async function append(): Promise<void> {
    const { filed, upTo } = tail.take(BATCH);
    const isNew = upTo > (position ?? 0);
    if (filed.length === 0 && !(isNew && clock.mono() > storedAt + POSITION_MS)) return;
    await history.append(await toBatch(filed, upTo));
    storedAt = clock.mono();
    if (isNew) position = upTo;
    tail.drop(upTo);
  }

  async function expire(): Promise<void> {
    if (clock.mono() < expireAt) return;
    while (!closing.signal.aborted && (await history.expire(clock.now() - options.retentionMs)) > 0);
    expireAt = clock.mono() + EXPIRE_MS;
  }

  async function round(): Promise<void> {
    if (!isOpen) await open();
    if (!appends()) {
      position = await history.position();
      if (position === undefined) return;
      if (tail.state() === "idle" || tail.state() === "lost") tail.follow(position);
      tail.drop(position);
      return;
    }
    if (tail.state() === "idle" || tail.state() === "lost") await scan();
    else await append();
    await expire();
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!closing.signal.aborted) {
      try {
        await round();
        failures = 0;
        if (appends() && tail.size > 0) await clock.sleep(tail.size >= BATCH ? 0 : GATHER_MS, closing.signal);
        else await pause(LOOK_MS);
      } catch (thrown) {
        if (closing.signal.aborted) return;
        // Etcd away is no failure of the history.
        if (isCode(thrown, "history/away", "history/refused")) failed(thrown);
        else log.warn({ err: thrown }, "archiving interrupted, trying again");
        failures += 1;
        await clock.sleep(backoffMs({ random }, BACKOFF, failures), closing.signal);
      }
    }
  }

  /** Until something is filed, at most so long. */
  async function pause(ms: number): Promise<void> {
    const woken = new AbortController();
    const end = () => woken.abort();
    wake = appends() ? end : () => {};
    closing.signal.addEventListener("abort", end, { once: true });
    await clock.sleep(closing.signal.aborted ? 0 : ms, woken.signal);
    closing.signal.removeEventListener("abort", end);
    wake = () => {};
    if (appends()) await clock.sleep(tail.size > 0 ? GATHER_MS : 0, closing.signal);
  }

  async function read<T>(work: (own: History) => Promise<T>): Promise<T | undefined> {
    if (!isOpen) return undefined;
    try {
      return await work(history);
    } catch (thrown) {
      if (!isCode(thrown, "history/away", "history/refused")) throw thrown;
      log.debug({ err: thrown }, "the history did not answer");
      // Not asked again before it has been found to be there.
      isOpen = false;
      return undefined;
    }
  }

  const done = run();
  let facts: { readonly value: HistoryFacts; readonly at: number } | undefined;
  return {
    hold,
    read,
    trouble: () => (failure === undefined ? undefined : `history: ${failure.message}`),
    async status() {
      const state: ArchiveState = failure !== undefined ? "away" : !isOpen ? "opening" : tail.state() === "live" ? "ok" : "behind";
      if (facts === undefined || clock.mono() > facts.at + FACTS_MS) {
        const value = await read((own) => own.facts());
        facts = value === undefined ? undefined : { value, at: clock.mono() };
      }
      return {
        ...{ kind: history.kind, where: history.where, state, waiting: tail.size, held: hold.held(), letGo: hold.letGo() },
        ...(failure === undefined ? {} : { error: failure }),
        ...(facts === undefined || failure !== undefined ? {} : { facts: facts.value }),
      };
    },
    async records(query) {
      if (!isOpen || tail.state() !== "live") return undefined;
      // First what is not archived yet: it may be, by the time of the answer.
      const waiting = [...tail.entries()].flatMap((entry) => (entry.type === "record" ? [entry.record] : []));
      const slice = await read((own) => own.records(query));
      return slice === undefined ? undefined : mergeTail(waiting, slice, query);
    },
    async close() {
      closing.abort();
      tail.close();
      await history.close();
      await done;
    },
  };
}
