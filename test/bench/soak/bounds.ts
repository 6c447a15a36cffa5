/** What is sampled while a fleet runs, and how much of it may grow, each with its reason. docs/soak.md holds the same table. */
import { markdownTable } from "../report.ts";
import type { Bound } from "./verdict.ts";

export type Row = { readonly name: string; readonly metric: RegExp; readonly bound: Bound; readonly why: string };

const MIB = 1;

/** The first row that fits a metric counts. Memory and files are in MiB. */
export const BOUNDS: readonly Row[] = [
  {
    name: "heap of masters and agents",
    metric: / heap$/,
    bound: { kind: "slope", perHour: 30 * MIB },
    why: "what JavaScript holds, garbage included; its troughs come after a collection. 30 MiB an hour are about 300 bytes for each record of this traffic",
  },
  {
    name: "memory of masters and agents outside V8's pages",
    metric: / native$/,
    bound: { kind: "slope", perHour: 48 * MIB },
    why: "buffers, SQLite, what the allocator keeps; 48 MiB an hour are about 500 bytes for each record of this traffic",
  },
  {
    name: "memory of masters and agents",
    metric: /^(master|agent)-.* resident$/,
    bound: { kind: "level", slack: 100 * MIB },
    why: "V8 takes several times what it holds when it is given little CPU to collect in, and gives it back late; leaks are the two rows above",
  },
  {
    name: "memory of spawners",
    metric: /^spawner-.* resident$/,
    bound: { kind: "slope", perHour: 48 * MIB },
    why: "they hold what runs at the moment, in a small heap",
  },
  {
    name: "memory of etcd",
    metric: /^etcd resident$/,
    bound: { kind: "slope", perHour: 150 * MIB },
    why: "etcd keeps claims (below) and a minute of old revisions, and Go gives memory back late",
  },
  {
    name: "file descriptors of each",
    metric: / descriptors$/,
    bound: { kind: "level", slack: 6 },
    why: "connections, pipes and log files of what runs at the moment come and go",
  },
  {
    name: "leases",
    metric: /^leases$/,
    bound: { kind: "level", slack: 6 },
    why: "one session for each agent and master, leases for claims (a new one for each agent and quarter of an hour, for 85 minutes), for orders and for keys of requests; none for a tick",
  },
  {
    name: "processes of the jobs",
    metric: /^processes$/,
    bound: { kind: "level", slack: 8 },
    why: "what runs at the moment; each has an end",
  },
  {
    name: "keys: claims",
    metric: /^keys of claims$/,
    bound: { kind: "told" },
    why: "one for each tick of interval and alone jobs, for 85 minutes (their lease); held against the number of ticks below",
  },
  {
    name: "claims for each tick",
    metric: /^claims per tick$/,
    bound: { kind: "most", value: 1.02 },
    why: "a claim for each tick of interval and alone jobs (of half a minute more than has passed), and none else",
  },
  {
    name: "keys: audit log",
    metric: /^keys of audit$/,
    bound: { kind: "told" },
    why: "an entry for each change by somebody, kept for `auditRetention`, 20,000 at most",
  },
  {
    name: "keys: orders",
    metric: /^keys of orders$/,
    bound: { kind: "told" },
    why: "each run, kill and attempt of a pipeline's task, for one to two hours (their shared lease): a node that was away carries it out when it is back; held against the number of orders below",
  },
  {
    name: "orders for each that was asked for",
    metric: /^orders per order$/,
    bound: { kind: "most", value: 1 },
    why: "an order for each run, kill and attempt of a task, and none else",
  },
  {
    name: "keys: answers to repeated requests",
    metric: /^keys of once$/,
    bound: { kind: "told" },
    why: "an answer for each POST with an Idempotency-Key, kept for a day",
  },
  {
    name: "keys: records",
    metric: /^keys of records$/,
    bound: { kind: "slope", perHour: 300 },
    why: "each job keeps its `retain`, here 20; the janitor comes once a minute, until then there are up to 1,500 more: the troughs count",
  },
  {
    name: "keys: statistics, runs",
    metric: /^keys of (stats|ends|plans|runs|answers|requests)$/,
    bound: { kind: "level", slack: 150 },
    why: "each job and pipeline keeps its `retain`, here 20; the janitor comes once a minute, until then there is more",
  },
  {
    name: "keys: every other family",
    metric: /^keys of /,
    bound: { kind: "level", slack: 20 },
    why: "with jobs, nodes and what runs, not with time",
  },
  {
    name: "inbox",
    metric: /^inbox$/,
    bound: { kind: "level", slack: 20 },
    why: "records wait there for milliseconds",
  },
  {
    name: "journal of each agent",
    metric: /^journal-/,
    bound: { kind: "most", value: 12 * MIB },
    why: "the journal holds what is not delivered yet, in pages that were reserved at its start (4 MiB), and its write-ahead log (4 to 8 MiB)",
  },
  {
    name: "logs on disk of each agent",
    metric: /^logs-/,
    bound: { kind: "most", value: 56 * MIB },
    why: "`logSize` is 8 MiB here and held by a sweep an hour; in an hour this traffic keeps 720 logs of 64 KiB",
  },
  {
    name: "files of executions of each agent",
    metric: /^files-/,
    bound: { kind: "most", value: 3000 },
    why: "only logs that do not fit into their records are kept (720 an hour, by the same sweep); this traffic has 30,000 executions an hour on each node",
  },
  {
    name: "watches",
    metric: /^watches$/,
    bound: { kind: "level", slack: 6 },
    why: "those of agents and masters; one for each follower of a log",
  },
  {
    name: "etcd's file",
    metric: /^etcd's file$/,
    bound: { kind: "level", slack: 24 * MIB },
    why: "pages of compacted revisions are used again; claims, audit entries and answers are kept (above)",
  },
  { name: "history's file", metric: /^history's file$/, bound: { kind: "told" }, why: "all records of `historyRetention` (90 days)" },
];

export function boundOf(metric: string): Row {
  const row = BOUNDS.find((one) => one.metric.test(metric));
  if (row === undefined) throw new Error(`no bound for ${metric}`);
  return row;
}

export function boundText(bound: Bound): string {
  if (bound.kind === "slope") return `trend ≤ ${bound.perHour} an hour`;
  if (bound.kind === "level") return `second half ≤ first + ${bound.slack}`;
  return bound.kind === "most" ? `≤ ${bound.value}` : "grows by design";
}

/** The table of docs/soak.md. */
export function boundsTable(): string {
  return markdownTable(
    ["what", "bound", "why"],
    BOUNDS.map(({ name, bound, why }) => [name, boundText(bound), why]),
  );
}
