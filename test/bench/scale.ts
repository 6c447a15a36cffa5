/**
 * `npm run scale`: simulated agents (scale/sim-agent.ts) and many jobs against a real etcd and a real master on this machine: dispatch times, what
 * watches and leases cost, memory, records filed per second, and what holds each back first. Prints tables as Markdown; docs/scale.md holds them.
 */
import { parseArgs } from "node:util";
import { systemClock } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import { count, machineLine, markdownTable, mb, ms } from "./report.ts";
import { type Filing, filing, firstDispatch, labelChange, type Phase, type Size, type Standing, standing } from "./scale/measure.ts";
import { POOL_JOBS, startWorld } from "./scale/world.ts";
import { ownScratch } from "./scratch.ts";

const HELP = `npm run scale -- [options]
  --steps LIST     AGENTSxJOBS,… (default: 10x1000,100x10000,10x100000,1000x1000,1000x100000)
  --rates LIST     records a second that the agents hand in, one after the other (default: 100,1000,5000)
  --seconds N      how long each rate, and the look at the idle fleet (default: 6)
  --minutes N      no step begins later than this (default: 8)
  --help           this
Needs etcd (scripts/setup). Uses the loopback and a temporary folder only; about 4 minutes (on a busy machine 8) and 3 GB of memory.`;

type Step = {
  readonly size: Size;
  readonly first: Phase;
  readonly one: Phase;
  readonly all: Phase;
  readonly standing: Standing;
  readonly rates: readonly Filing[];
  /** Resident memory after all that. */
  readonly after: Standing["resident"];
};
type Options = { readonly steps: readonly Size[]; readonly rates: readonly number[]; readonly forMs: number; readonly limitMs: number };

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      steps: { type: "string", default: "10x1000,100x10000,10x100000,1000x1000,1000x100000" },
      rates: { type: "string", default: "100,1000,5000" },
      seconds: { type: "string", default: "6" },
      minutes: { type: "string", default: "8" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const steps = values.steps.split(",").map((text) => {
    const [, agents, jobs] = /^(\d+)x(\d+)$/.exec(text) ?? [];
    const size = { agents: Number(agents), jobs: Number(jobs) };
    if (!(size.agents >= 2 && size.agents <= 2000 && size.jobs >= 2 * POOL_JOBS && size.jobs <= 200_000))
      throw new Error(`--steps: "${text}" is not AGENTSxJOBS with 2 to 2000 agents and ${2 * POOL_JOBS} to 200000 jobs`);
    return size;
  });
  return {
    steps,
    rates: values.rates.split(",").map((text) => numberOf("--rates", text, 20_000)),
    forMs: numberOf("--seconds", values.seconds, 60) * 1000,
    limitMs: numberOf("--minutes", values.minutes, 30) * 60_000,
  };
}

function numberOf(option: string, text: string, max: number): number {
  const value = Number(text);
  if (!(value >= 1 && value <= max)) throw new Error(`${option}: "${text}" is not a number from 1 to ${max}`);
  return value;
}

async function measureStep(size: Size, options: Options): Promise<Step> {
  const say = (text: string) => console.log(`${size.agents} agents, ${count(size.jobs)} jobs: ${text}`);
  await using world = await startWorld(size);
  const first = await firstDispatch(world, size);
  say(`all dispatched ${ms(first.ms)} after the master's start; ${first.bottleneck}`);
  const idle = await standing(world, options.forMs);
  say(`idle: master ${mb(idle.resident.master)}, etcd ${mb(idle.resident.etcd)}, CPU ${shares(idle.cpu)}`);
  const one = await labelChange(world, 0, 1);
  say(`a label on one node: its jobs are there after ${ms(one.ms)}`);
  const all = await labelChange(world, 1, size.agents - 1);
  say(`a label on all nodes: ${ms(all.ms)}; ${all.bottleneck}`);
  const rates: Filing[] = [];
  for (const perSecond of options.rates) {
    const one = await filing(world, perSecond, options.forMs);
    say(`${count(perSecond)} records/s handed in: ${count(one.filed)}/s filed; ${one.bottleneck}`);
    rates.push(one);
  }
  return { size, first, one, all, standing: idle, rates, after: world.resident() };
}

function shares(cpu: Readonly<Record<string, number>>): string {
  return Object.entries(cpu)
    .map(([part, used]) => `${part} ${used.toFixed(2)}`)
    .join(", ");
}

function sizeOf({ size }: Step): string[] {
  return [count(size.agents), count(size.jobs)];
}

function printTables(steps: readonly Step[]): void {
  const dispatch = steps.map((step) => {
    const { size, first, one, all } = step;
    const moved = (size.agents - 1) * POOL_JOBS;
    return [
      ...sizeOf(step),
      `${ms(first.ms)} (${count(((size.jobs - POOL_JOBS) * 1000) / first.ms)}/s)`,
      ms(one.ms),
      `${ms(all.ms)} (${count(moved)}, ${count((moved * 1000) / all.ms)}/s)${all.repeated === 0 ? "" : `; ${all.repeated} requests repeated`}`,
      shares(all.cpu),
      all.bottleneck,
    ];
  });
  console.log("\nDispatch\n");
  console.log(
    markdownTable(
      [
        "agents",
        "jobs",
        "master's start → all dispatched",
        `label on one node → its ${POOL_JOBS} jobs there`,
        "label on all others → all there (dispatches)",
        "cores used meanwhile",
        "held back first by",
      ],
      dispatch,
    ),
  );
  console.log("\nA fleet at rest\n");
  console.log(
    markdownTable(
      [
        "agents",
        "jobs",
        "watches",
        "leases",
        "renewals/s",
        "transactions/s",
        "cores used",
        "master (after the load)",
        "etcd (after the load)",
        "etcd's file",
      ],
      steps.map((step) => [
        ...sizeOf(step),
        ...[
          count(step.standing.watches),
          count(step.standing.leases),
          count(step.standing.renewalsPerSecond),
          step.standing.txnsPerSecond.toFixed(1),
        ],
        shares(step.standing.cpu),
        `${mb(step.standing.resident.master)} (${mb(step.after.master)})`,
        `${mb(step.standing.resident.etcd)} (${mb(step.after.etcd)})`,
        mb(step.standing.databaseBytes),
      ]),
    ),
  );
  console.log("\nRecords\n");
  console.log(
    markdownTable(
      [
        "agents",
        "jobs",
        "handed in/s",
        "filed/s",
        "end → filed",
        "left over",
        "transactions/s",
        "fsync of etcd",
        "cores used",
        "held back first by",
      ],
      steps.flatMap((step) =>
        step.rates.map((one) => [
          ...sizeOf(step),
          ...[count(one.posted), count(one.filed), ms(one.lagMs), count(one.backlog), count(one.txns), ms(one.fsyncMs)],
          shares(one.cpu),
          one.bottleneck,
        ]),
      ),
    ),
  );
}

ownScratch();
const options = readOptions();
if (options === undefined) console.log(HELP);
else {
  const caption = machineLine();
  console.log(caption);
  const begun = systemClock.mono();
  const steps: Step[] = [];
  for (const size of options.steps) {
    if (systemClock.mono() - begun > options.limitMs) console.log(`${size.agents}x${size.jobs}: left out, the time is up (--minutes)`);
    else {
      // What was measured before is worth its tables.
      const step = await measureStep(size, options).catch((thrown: unknown) => asError(thrown));
      if (!(step instanceof Error)) steps.push(step);
      else {
        console.log(`${size.agents}x${size.jobs}: not measured to its end: ${step.message}`);
        process.exitCode = 1;
      }
    }
  }
  console.log(`\n${caption}\nnpm run scale -- ${process.argv.slice(2).join(" ")}`);
  printTables(steps);
  console.log(`\n${((systemClock.mono() - begun) / 60_000).toFixed(1)} minutes`);
}
