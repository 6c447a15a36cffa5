/**
 * `npm run soak`: a real fleet (three agents, two masters, an etcd that compacts every minute) under mixed traffic for a time; fails when memory,
 * descriptors, leases, keys, journals, logs or processes grow beyond their bounds (soak/bounds.ts). Prints samples and a verdict as Markdown.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createApiClient } from "fleetcron/client/api";
import { createRest } from "fleetcron/client/rest";
import { systemClock } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import { type EtcdServer, freePorts, startEtcd } from "../support/etcd.ts";
import { type Fleet, startFleet } from "../support/fleet.ts";
import { tempFolder } from "../support/processes.ts";
import { factsOf } from "./process-facts.ts";
import { count, machineLine, markdownTable } from "./report.ts";
import { metricsOf } from "./scale/etcd-facts.ts";
import { ownScratch } from "./scratch.ts";
import { boundOf, boundText } from "./soak/bounds.ts";
import { sample } from "./soak/sampler.ts";
import { startTraffic, type Traffic } from "./soak/traffic.ts";
import { type Judgement, judge, type Sample } from "./soak/verdict.ts";

const HELP = `npm run soak -- [options]
  --minutes N    how long the traffic lasts (default: 20; from 2 on)
  --every N      seconds between two samples (default: 10)
  --help         this
Exit code 0: nothing grew beyond its bound; 1: something did. The first third is warm-up. Needs etcd (scripts/setup); loopback and temporary folders only.`;

const NODES = ["n1", "n2", "n3"];
/** Of the traffic's calls; beyond it something is wrong that is no growth. */
const FAULT_SHARE = 0.01;
/** So many samples may fail because a busy machine did not answer in time. */
const MISSED = 10;
/** A line of figures on the way. */
const SHOWN = [
  "master-0 resident",
  "master-1 resident",
  "agent-n1 resident",
  "spawner-n1 resident",
  "etcd resident",
  "leases",
  "processes",
  "keys of records",
];

type Options = { readonly minutes: number; readonly everyMs: number };

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "20" },
      every: { type: "string", default: "10" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const [minutes, every] = [Number(values.minutes), Number(values.every)];
  if (!(minutes >= 2 && minutes <= 24 * 60)) throw new Error(`--minutes: "${values.minutes}" is not a number from 2 to 1440`);
  if (!(every >= 1 && every <= 60)) throw new Error(`--every: "${values.every}" is not a number from 1 to 60`);
  return { minutes, everyMs: every * 1000 };
}

async function soak(options: Options): Promise<boolean> {
  const caption = machineLine();
  console.log(caption);
  await using stack = new AsyncDisposableStack();
  const temp = stack.use(tempFolder());
  const compaction = ["--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1m"];
  // etcd 3.4 holds the last 100,000 entries of its log in memory unless it is told to snapshot sooner: half an hour of this traffic.
  const calm = [
    "--snapshot-count",
    "5000",
    "--heartbeat-interval",
    "100",
    "--election-timeout",
    "1000",
    "--data-dir",
    join(temp.path, "etcd"),
  ];
  // Long sessions: it is growth that is looked for, not what a busy machine does to leases (test/chaos does that).
  const etcd = stack.use(await startEtcd({ args: [...compaction, ...calm] }));
  const fleet = stack.use(
    await startFleet({ etcd: [etcd.endpoint], nodes: [], masters: 2, sessionTtl: "20s", masterArgs: ["--session-ttl", "20s"] }),
  );
  const ports = await freePorts(NODES.length);
  const address = (node: string) => `127.0.0.1:${ports[NODES.indexOf(node)]}`;
  for (const node of NODES) await fleet.addAgent(node, { args: ["--log-size", "8MiB", "--metrics", address(node)] });
  // Not the tests' client, which holds each answer against the schema.
  const api = createApiClient(createRest({ clock: systemClock, fetch }, { server: fleet.url, token: fleet.token }));
  const startedMs = systemClock.now();
  const traffic = await startTraffic(api);
  stack.defer(() => traffic.stop());
  const cpuBefore = cpuOf(fleet, etcd);
  const series = await collect(fleet, etcd, { startedMs, traffic, metricsUrl: (node) => `http://${address(node)}` }, options);
  const cpu = (cpuOf(fleet, etcd) - cpuBefore) / (options.minutes * 60_000);
  const filed = await filedBy(fleet);
  await traffic.stop();
  console.log(`\n${caption}\nnpm run soak -- ${process.argv.slice(2).join(" ")}`);
  return report(series, {
    traffic,
    warmUpMs: (options.minutes * 60_000) / 3,
    text: `${count(filed)} records filed, ${cpu.toFixed(2)} cores used`,
  });
}

async function collect(
  fleet: Fleet,
  etcd: EtcdServer,
  { startedMs, traffic, metricsUrl }: { startedMs: number; traffic: Traffic; metricsUrl: (node: string) => string },
  options: Options,
): Promise<ReadonlyMap<string, Sample[]>> {
  const series = new Map<string, Sample[]>();
  const taken: number[] = [];
  let missed = 0;
  const endMs = startedMs + options.minutes * 60_000;
  for (let nextMs = startedMs; nextMs <= endMs; nextMs += options.everyMs) {
    await systemClock.sleep(Math.max(0, nextMs - systemClock.now()));
    const atMs = systemClock.now();
    const values = await sample(fleet, etcd, { startedMs, orders: traffic.orders(), metricsUrl }).catch((thrown: unknown) =>
      asError(thrown),
    );
    if (values instanceof Error) {
      console.log(`no sample: ${values.message}`);
      if (++missed > MISSED) throw values;
      continue;
    }
    taken.push(atMs);
    // A family without keys is not among the values.
    for (const metric of new Set([...series.keys(), ...values.keys()])) {
      const before = series.get(metric) ?? taken.slice(0, -1).map((at) => ({ atMs: at, value: 0 }));
      series.set(metric, [...before, { atMs, value: values.get(metric) ?? 0 }]);
    }
    const minute = (atMs - startedMs) / 60_000;
    if (Math.round((nextMs - startedMs) / options.everyMs) % Math.round(60_000 / options.everyMs) !== 0) continue;
    console.log(`${minute.toFixed(1)} min: ${SHOWN.map((metric) => `${metric} ${(values.get(metric) ?? 0).toFixed(0)}`).join(", ")}`);
  }
  return series;
}

function cpuOf(fleet: Fleet, etcd: EtcdServer): number {
  return factsOf(etcd.pid, ...[...fleet.masters, ...fleet.agents.values()].map(({ pid }) => pid)).cpuMs;
}

async function filedBy(fleet: Fleet): Promise<number> {
  const all = fleet.masters.map(({ ready }) => metricsOf((ready as { url: string }).url, fleet.token));
  return (await Promise.all(all)).reduce((sum, metrics) => sum + metrics("fleetcron_master_records_filed_total"), 0);
}

/** Prints the verdict; true when everything is within its bounds. */
function report(series: ReadonlyMap<string, Sample[]>, run: { traffic: Traffic; warmUpMs: number; text: string }): boolean {
  const judged = [...series].map(([metric, samples]) => {
    const { bound, why } = boundOf(metric);
    return { metric, bound, why, ...judge(bound, samples, run.warmUpMs) };
  });
  const one = (value: number) => value.toFixed(Math.abs(value) < 10 ? 2 : 0);
  const rows = judged
    .sort((a, b) => a.metric.localeCompare(b.metric))
    .map((row) => [
      row.metric,
      one(row.first),
      one(row.second),
      one(row.most),
      one(row.perHour),
      boundText(row.bound),
      row.ok ? "ok" : "GROWS",
    ]);
  console.log(`\n${markdownTable(["what", "median, first half", "second half", "most", "trend an hour", "bound", "verdict"], rows)}\n`);
  const calls = [...run.traffic.done].map(([name, times]) => `${name} ${count(times)}`).join(", ");
  console.log(`${run.text}; ${calls}`);
  for (const fault of run.traffic.faults) console.log(`fault: ${fault}`);
  const faults = run.traffic.done.get("faults") ?? 0;
  const all = [...run.traffic.done.values()].reduce((sum, times) => sum + times, 0);
  const growing = judged.filter(({ ok }: Judgement) => !ok);
  for (const { metric, why } of growing) console.log(`${metric} grows beyond its bound (${why})`);
  const passed = growing.length === 0 && faults <= all * FAULT_SHARE;
  if (faults > all * FAULT_SHARE) console.log(`${faults} of ${all} calls failed against expectation`);
  console.log(passed ? "soak: nothing grows beyond its bound" : "soak: FAILED");
  return passed;
}

ownScratch();
const options = readOptions();
if (options === undefined) console.log(HELP);
else if (!(await soak(options))) process.exitCode = 1;
