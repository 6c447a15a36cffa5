/**
 * `node test/bench/history.ts [--quick]`: a history of 1,000,000 records of 10,000 jobs on 100 nodes over 90 days (`--quick`: 50,000), in SQLite and in PostgreSQL:
 * how fast it fills, how large it gets, and how long pages of 100 take by each filter. Straight at the adapters; REST and the tail add a few milliseconds.
 */
import type { History, Place, RecordFilter } from "fleetcron/history/history";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { postgresAt, sqliteIn } from "../support/histories.ts";
import { startPostgres } from "../support/postgres.ts";
import { tempFolder } from "../support/processes.ts";
import { quantile } from "./bench-fleet.ts";

const quick = process.argv.includes("--quick");
const TOTAL = quick ? 50_000 : 1_000_000;
const JOBS = 10_000;
const NODES = 100;
const SPAN_MS = 90 * 86_400_000;
const FROM = systemClock.now() - SPAN_MS;
const WORDS = "backup copied rows done table user host disk cache queue sync index chunk batch retry cert mail image node shard".split(" ");
const ROUNDS = quick ? 20 : 60;

/** Always the same in one run, different from record to record. */
function mixed(i: number, salt: number): number {
  return ((i + 1) * 2_654_435_761 + salt * 40_503) % 4_294_967_296;
}

function record(i: number): ExecutionRecord {
  const job = mixed(i, 1) % JOBS;
  const node = mixed(i, 2) % NODES;
  const failed = mixed(i, 3) % 20 === 0;
  const skipped = mixed(i, 4) % 50 === 0;
  const endMs = FROM + Math.floor((i / TOTAL) * SPAN_MS);
  const execution = `${i.toString(32).toUpperCase().padStart(26, "0")}`;
  const lines = Array.from(
    { length: 8 },
    (_, line) =>
      `${toIso(endMs)} ${WORDS[mixed(i, line) % WORDS.length]} ${WORDS[mixed(i, line + 9) % WORDS.length]} ${mixed(i, line + 20) % 100_000}`,
  );
  const tail = `${lines.join("\n")}\n${failed ? "error: connection refused" : "ok"}${i % 50_000 === 17 ? " needle" : ""}\n`;
  return {
    ...{
      v: 1,
      id: `${execution}-1`,
      execution,
      jobGroup: `g${job % 20}`,
      jobId: `job-${job}`,
      jobRevision: 1,
      attempt: 1,
      finalAttempt: true,
    },
    ...{
      nodeId: `node-${node}`,
      hostname: `node-${node}.example`,
      name: `job ${job}`,
      command: `/usr/local/bin/task --id ${job}`,
      pid: 1000 + i,
    },
    ...{
      ruleId: "r1",
      dueAt: toIso(endMs - 1000),
      beginTime: toIso(endMs - 900),
      endTime: toIso(endMs),
      handleTime: toIso(endMs + 20),
      durationMs: 900,
      skewMs: 3,
    },
    success: !failed && !skipped,
    outcome: skipped ? { type: "skipped", reason: "overlap" } : { type: "exit", code: failed ? 1 : 0 },
    output: { tail, cutBytes: 0, totalBytes: tail.length },
    isHandled: true,
  } as ExecutionRecord;
}

const FILTERS: readonly (readonly [title: string, filter: (round: number) => RecordFilter])[] = [
  ["all", () => ({})],
  ["job", (round) => ({ job: jobOf(round) })],
  ["job and failure", (round) => ({ job: jobOf(round), outcome: "failure" })],
  ["node", (round) => ({ node: `node-${round % NODES}` })],
  ["node and failure", (round) => ({ node: `node-${round % NODES}`, outcome: "failure" })],
  ["group", (round) => ({ group: `g${round % 20}` })],
  ["group and skipped", (round) => ({ group: `g${round % 20}`, outcome: "skipped" })],
  ["failure", () => ({ outcome: "failure" })],
  ["exit:1", () => ({ outcome: "exit:1" })],
  ["an outcome that none has", () => ({ outcome: "oom" })],
  ["time range of an hour", (round) => ({ sinceMs: FROM + round * 86_400_000, untilMs: FROM + round * 86_400_000 + 3_600_000 })],
  ["text: a word of every record (ok)", () => ({ text: "ok" })],
  ["text: connection refused (5 %)", () => ({ text: "connection refused" })],
  ["text: a word of 20 records", () => ({ text: "needle" })],
  ["text: a word of none", (round) => ({ text: `nothing${round}` })],
  ["text: a beginning (backu*)", () => ({ text: "backu*" })],
  ["text: ok, of one job", (round) => ({ text: "ok", job: jobOf(round) })],
  ["text: refused, of one node, failure", (round) => ({ text: "refused", node: `node-${round % NODES}`, outcome: "failure" })],
];

function jobOf(round: number): string {
  const job = (round * 97) % JOBS;
  return `g${job % 20}/job-${job}`;
}

async function measure(title: string, history: History, settle: () => Promise<unknown>): Promise<void> {
  await history.open("bench");
  const begun = systemClock.mono();
  for (let at = 0; at < TOTAL; at += 500)
    await history.append({ records: Array.from({ length: 500 }, (_, i) => record(at + i)), runs: [], upTo: at + 500 });
  const tookMs = systemClock.mono() - begun;
  await settle();
  const { records, bytes } = await history.facts();
  console.log(
    `${title}: ${records} records in ${(tookMs / 1000).toFixed(0)} s, ${Math.round(TOTAL / (tookMs / 1000))}/s, ${Math.round(bytes / 2 ** 20)} MiB`,
  );
  console.log(`| page of 100 by | p50 | p95 | max |\n| --- | --- | --- | --- |`);
  for (const [name, filter] of FILTERS) {
    const times: number[] = [];
    let before: Place | undefined;
    for (let round = 0; round < ROUNDS; round++) {
      const at = systemClock.mono();
      const slice = await history.records({ ...filter(round), before, limit: 100 });
      times.push(systemClock.mono() - at);
      // First pages and those behind them by turns.
      before = round % 2 === 0 ? slice.next : undefined;
    }
    console.log(`| ${name} | ${[0.5, 0.95, 1].map((part) => `${quantile(times, part).toFixed(1)} ms`).join(" | ")} |`);
  }
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { id } = record((round * 7919) % TOTAL);
    const at = systemClock.mono();
    if ((await history.record(id)) === undefined) throw new Error(`${id} is not there`);
    times.push(systemClock.mono() - at);
  }
  console.log(`| one record by its id | ${[0.5, 0.95, 1].map((part) => `${quantile(times, part).toFixed(1)} ms`).join(" | ")} |`);
  console.log(`resident: ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB`);
  await history.close();
}

{
  using folder = tempFolder();
  if (!process.argv.includes("--postgres")) await measure("SQLite", sqliteIn(folder.path), async () => {});
}
{
  await using server = await startPostgres({ base: "/tmp", settings: ["shared_buffers = 256MB", "max_wal_size = 4GB", "fsync = on"] });
  if (!process.argv.includes("--sqlite"))
    await measure("PostgreSQL", postgresAt(server.url()), () => server.query("ANALYZE fleetcron.records"));
}
