/**
 * The five-minute tour as a program: starts a fleet of three agents, imports a crontab, applies a job of each mode and kind, shows runs as
 * they happen and a table of what was due and what ran, and takes a pipeline from checkout to message. Ends with 1 when anything was missed
 * or ran twice. Run by scripts/quickstart.
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import Table from "cli-table3";
import { type ApiClient, collectPages, createApiClient } from "fleetcron/client/api";
import { createRest } from "fleetcron/client/rest";
import { systemClock } from "fleetcron-shared/base/clock";
import { compileJob } from "fleetcron-shared/model/job-compile";
import { didRun, type ExecutionRecord } from "fleetcron-shared/model/record";
import { type Fleet, sleep, startFleet } from "./tour/fleet.ts";
import { type Receiver, startReceiver } from "./tour/receiver.ts";
import { showRelease } from "./tour/release.ts";
import { type Tally, tally } from "./tour/tally.ts";

const AGENTS = 3;
/** How long runs are shown; longer by up to a third when that takes in a full minute, where the crontab has something to do. */
const SHOW_MS = 15_000;
/** Until the last records have arrived. */
const SETTLE_MS = 6000;
const ACKNOWLEDGED_WITHIN_MS = 20_000;

const ALL = Number.POSITIVE_INFINITY;

type Job = ReturnType<typeof compileJob>;

/** All jobs, once every node has taken over all of them. */
async function acknowledgedJobs(api: ApiClient): Promise<Job[]> {
  const { items } = await collectPages((limit, cursor) => api.jobs({ limit, cursor }), ALL);
  for (const until = Date.now() + ACKNOWLEDGED_WITHIN_MS; ; await sleep(100)) {
    const views = await Promise.all(items.map((item) => api.job(item)));
    const waiting = views.filter(({ acknowledged }) => acknowledged === undefined || acknowledged.nodes < acknowledged.of);
    if (waiting.length === 0) return views.map((view) => compileJob(view, view.spec));
    if (Date.now() > until) throw new Error(`not taken over by all nodes: ${waiting.map(({ group, id }) => `${group}/${id}`).join(", ")}`);
  }
}

/** Keeps the records since `sinceMs`, each once, newest form. */
function createRecordBook(api: ApiClient, sinceMs: number) {
  const records = new Map<string, ExecutionRecord>();
  let readUntilMs = sinceMs;
  return {
    all: () => [...records.values()],
    async refresh(): Promise<void> {
      const since = new Date(readUntilMs - 10_000).toISOString();
      readUntilMs = Date.now();
      const { items } = await collectPages((limit, cursor) => api.records({ since, limit, cursor }), ALL);
      for (const record of items) records.set(record.id, record);
    },
  };
}

/** One line for a due second: which job ran where, and how late. */
function secondLine(dueAt: string, records: readonly ExecutionRecord[]): string {
  const jobs = Map.groupBy(records, (record) => `${record.jobGroup}/${record.jobId}`);
  const parts = [...jobs].map(([job, runs]) => {
    const skew = Math.max(...runs.map((run) => run.skewMs ?? 0));
    return `${job} on ${runs
      .map((run) => run.nodeId)
      .sort()
      .join(",")} +${Math.round(skew)}ms${runs.every((run) => run.success) ? "" : " FAILED"}`;
  });
  return `${dueAt.slice(11, 19)}  ${parts.join("   ")}`;
}

/** Shows runs until `untilMs`, a line per due second, about two seconds behind. */
async function showRuns(book: ReturnType<typeof createRecordBook>, untilMs: number): Promise<void> {
  const shown = new Set<string>();
  while (Date.now() < untilMs + 2000) {
    await sleep(1000);
    await book.refresh();
    const behind = new Date(Math.min(Date.now() - 1500, untilMs)).toISOString();
    const bySecond = Map.groupBy(
      book.all().filter((record) => didRun(record.outcome) && record.dueAt !== undefined && record.dueAt <= behind),
      (record) => record.dueAt ?? "",
    );
    for (const dueAt of [...bySecond.keys()].filter((key) => !shown.has(key)).sort()) {
      shown.add(dueAt);
      console.log(secondLine(dueAt, bySecond.get(dueAt) ?? []));
    }
  }
}

function printTable(rows: readonly Tally[]): void {
  const table = new Table({
    head: ["job", "kind", "due", "fired", "skipped", "missing", "duplicates", "worst skew"],
    style: { head: [], border: [], compact: true },
  });
  const cells = (row: Omit<Tally, "kind">, kind: string) => [
    row.job,
    kind,
    row.due,
    row.fired,
    row.skipped,
    row.missing,
    row.duplicates,
    row.worstSkewMs === undefined ? "-" : `${row.worstSkewMs.toFixed(0)} ms`,
  ];
  for (const row of rows) if (row.due > 0) table.push(cells(row, row.kind));
  table.push(cells(total(rows), ""));
  const idle = rows.filter((row) => row.due === 0).length;
  console.log(`\n${table.toString()}`);
  if (idle > 0) console.log(`(${idle} more jobs had nothing due in this time)`);
}

function total(rows: readonly Tally[]): Tally {
  const sum = (pick: (row: Tally) => number) => rows.reduce((all, row) => all + pick(row), 0);
  return {
    job: "all",
    kind: "",
    due: sum((row) => row.due),
    fired: sum((row) => row.fired),
    skipped: sum((row) => row.skipped),
    missing: sum((row) => row.missing),
    duplicates: sum((row) => row.duplicates),
    worstSkewMs: rows.reduce<number | undefined>(
      (worst, row) => (row.worstSkewMs === undefined ? worst : Math.max(worst ?? 0, row.worstSkewMs)),
      undefined,
    ),
  };
}

/** What the same looks like in etcd. */
function showEtcd(etcd: string): void {
  const args = ["--endpoints", etcd, "get", "--prefix", "/fleetcron/claims/demo/tick/", "--limit", "1", "--order", "DESCEND"];
  console.log(
    `\nThe same with plain etcdctl, for example the newest claim of demo/tick (who may run that tick):\n$ ETCDCTL_API=3 etcdctl ${args.join(" ")}`,
  );
  process.stdout.write(execFileSync("etcdctl", args, { env: { ...process.env, ETCDCTL_API: "3" }, encoding: "utf8" }));
}

function showNext(fleet: Fleet, keep: boolean): void {
  const access = keep
    ? `It runs on. Stop it with: kill ${fleet.pid}   (its folder: ${fleet.dir})\n\nTry, in this shell:\n  export FLEETCRON_SERVER=${fleet.url} FLEETCRON_TOKEN=${fleet.token} ETCDCTL_API=3`
    : "Everything is stopped and removed. To look around, let it run on with: scripts/quickstart --keep\nThen try:";
  const etcd = keep ? fleet.etcd : "ENDPOINT";
  console.log(`
${access}
  npm exec -- fleetcron node ls
  npm exec -- fleetcron job ls
  npm exec -- fleetcron job next demo/tick
  npm exec -- fleetcron job why demo/tick
  npm exec -- fleetcron job run demo/announce --wait
  npm exec -- fleetcron pipeline runs
  npm exec -- fleetcron record ls --limit 5
  etcdctl --endpoints ${etcd} get --prefix /fleetcron --keys-only
`);
}

/** Runs the tour; returns what went wrong, which should be nothing. */
async function tour(fleet: Fleet, receiver: Receiver): Promise<string[]> {
  console.log(`ready: ${fleet.nodes.length} agents (${fleet.nodes.join(", ")}), REST at ${fleet.url}, etcd at ${fleet.etcd}`);
  const api = createApiClient(createRest({ clock: systemClock, fetch }, { server: fleet.url, token: fleet.token }));
  const startedMs = Date.now();
  await fleet.command("import", "crontab", "examples/crontab", "--apply", "-o", "name");
  await fleet.command("apply", "-f", "examples/jobs.yaml");
  const jobs = await acknowledgedJobs(api);

  const fromMs = Math.ceil(Date.now() / 1000) * 1000;
  const minuteMs = Math.ceil(fromMs / 60_000) * 60_000;
  const untilMs = minuteMs > fromMs + SHOW_MS && minuteMs < fromMs + (SHOW_MS * 4) / 3 ? minuteMs + 1000 : fromMs + SHOW_MS;
  console.log(`\n${jobs.length} jobs are taken over by every node. Runs by due second for ${Math.round((untilMs - fromMs) / 1000)} s:\n`);
  const book = createRecordBook(api, startedMs);
  await showRuns(book, untilMs);

  const { timezone } = await api.info();
  const nodes = (await collectPages((limit, cursor) => api.nodes({ limit, cursor }), ALL)).items;
  const count = () => jobs.map((job) => tally(job, nodes, book.all(), { fromMs, untilMs, timezone }));
  let rows = count();
  for (const settledMs = Date.now() + SETTLE_MS; Date.now() < settledMs && total(rows).missing > 0; rows = count()) {
    await sleep(300);
    await book.refresh();
  }
  printTable(rows);
  showEtcd(fleet.etcd);
  const { due, fired, missing, duplicates } = total(rows);
  return [
    ...(await showRelease(fleet, api, receiver)),
    ...(fired === 0 || due === 0 ? ["nothing ran"] : []),
    ...(missing > 0 ? [`${missing} ticks have neither a run nor a verdict`] : []),
    ...(duplicates > 0 ? [`${duplicates} ticks ran twice`] : []),
  ];
}

const { values } = parseArgs({
  options: { keep: { type: "boolean", default: false }, help: { type: "boolean", short: "h", default: false } },
});
if (values.help) {
  console.log(
    "usage: scripts/quickstart [--keep]\n\nInstalls what is missing, starts etcd, a master and three agents in a temporary folder, runs example jobs and a\npipeline on them, counts, and stops everything within a minute. --keep lets it run on.",
  );
} else {
  console.log("starting etcd, a master and three agents…");
  await using receiver = await startReceiver();
  const fleet = await startFleet(AGENTS, { FLEETCRON_SECRET_RELEASE_HOOK: receiver.url, FLEETCRON_MASTER_NOTIFY_ALLOW: "127.0.0.1" });
  let stopping: Promise<string[]> | undefined;
  const stop = () => (stopping ??= fleet.stop());
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => void stop().finally(() => process.exit(130)));
  }
  let wrong: string[];
  try {
    wrong = await tour(fleet, receiver);
  } catch (error) {
    wrong = [error instanceof Error ? error.message : String(error)];
  }
  if (!values.keep || wrong.length > 0) wrong.push(...(await stop()).map((left) => `still running: ${left}`));
  for (const line of wrong) console.log(`\nFAILED: ${line}`);
  if (wrong.length === 0) showNext(fleet, values.keep);
  process.exit(wrong.length === 0 ? 0 : 1);
}
