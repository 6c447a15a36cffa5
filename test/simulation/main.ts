/** `npm run simulate`: simulated fleets by seed; README.md says how it works. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { systemClock } from "fleetcron-shared/base/clock";
import { simulateAll } from "./pool.ts";
import { SABOTAGES, type SabotageName } from "./sabotage.ts";
import { makeFolder, type Report, reportOf } from "./worker.ts";

const HELP = `npm run simulate -- [options]
  --seed N       one fleet, by its seed
  --trace        of one: what happens, line by line
  --hours H      how many fleet-hours at least (default: 100); of one: how long its faults go on (default: 1)
  --from N       the first seed of many (default: 1)
  --length H     of many: for how many hours each has faults (default: 1)
  --workers N    worlds at once (default: one for each processor)
  --sabotage X   plants a fault: ${SABOTAGES.slice(1).join(", ")}
  --help         this
Ends with 1 when anything is found. A seed is good for one version of the code: any change draws another history.`;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    trace: { type: "boolean", default: false },
    hours: { type: "string" },
    from: { type: "string", default: "1" },
    length: { type: "string", default: "1" },
    workers: { type: "string", default: String(availableParallelism()) },
    sabotage: { type: "string", default: "none" },
    help: { type: "boolean", default: false },
  },
});

function numberOf(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < least) throw new Error(`--${name}: "${text}" is not a number from ${least} on`);
  return value;
}

const sabotage = SABOTAGES.find((name) => name === values.sabotage);
if (sabotage === undefined) throw new Error(`--sabotage: "${values.sabotage}" is none of ${SABOTAGES.join(", ")}`);

if (values.help) say(HELP);
else if (values.seed !== undefined) await one(numberOf("seed", values.seed, 0), numberOf("hours", values.hours ?? "1", 0.01), sabotage);
else await many(numberOf("hours", values.hours ?? "100", 0), sabotage);

async function one(seed: number, hours: number, planted: SabotageName): Promise<void> {
  const folder = makeFolder();
  try {
    const report = await reportOf({ seed, hours, sabotage: planted }, folder.path, values.trace ? say : undefined);
    tell(report, hours);
    const { fleetHours, events, runs, troubles, digest } = report;
    say(`seed ${seed}: ${fleetHours.toFixed(2)} fleet-hours, ${events} events, ${runs} runs, ${troubles} faults, history ${digest}`);
    end(report.findings.length);
  } finally {
    folder.remove();
  }
}

async function many(wanted: number, planted: SabotageName): Promise<void> {
  const length = numberOf("length", values.length, 0.01);
  const beginMs = systemClock.mono();
  let seed = numberOf("from", values.from, 0);
  let asked = 0;
  const sum = { worlds: 0, fleetHours: 0, events: 0, runs: 0, troubles: 0, findings: 0, uncovered: 0 };
  await simulateAll({
    workers: numberOf("workers", values.workers, 1),
    hours: length,
    sabotage: planted,
    nextSeed() {
      if (asked >= wanted) return undefined;
      asked += length;
      return seed++;
    },
    onReport(report) {
      tell(report, length);
      sum.worlds++;
      for (const key of ["fleetHours", "events", "runs", "troubles"] as const) sum[key] += report[key];
      sum.findings += report.findings.length;
      sum.uncovered += report.uncovered.length;
    },
  });
  const seconds = (systemClock.mono() - beginMs) / 1000;
  const { user, system } = process.cpuUsage();
  const cpuSeconds = (user + system) / 1e6;
  const { worlds, fleetHours, events, runs, troubles, findings, uncovered } = sum;
  say(
    `${worlds} fleets, ${fleetHours.toFixed(0)} fleet-hours in ${seconds.toFixed(1)} s (${(fleetHours / seconds).toFixed(1)} per second, ${(fleetHours / cpuSeconds).toFixed(1)} per second of a processor): ${runs} runs, ${troubles} faults, ${events} events; ${findings} findings, ${uncovered} ticks before a change of their job that only an auditor would tell of`,
  );
  end(findings);
}

function tell({ seed, findings, uncovered }: Report, hours: number): void {
  for (const text of uncovered) say(`seed ${seed}: only an auditor would tell of it: ${text}`);
  for (const { kind, text } of findings) say(`seed ${seed}: ${kind}: ${text}`);
  if (findings.length > 0) say(`seed ${seed}: again with: node test/simulation/main.ts --seed ${seed} --hours ${hours} --trace`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function end(findings: number): void {
  if (findings > 0) process.exitCode = 1;
}
