/** Simulated fleets (README.md): thousands of hours of faults for the real agent and master, each again by its seed. */
import { availableParallelism, constants, setPriority } from "node:os";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { simulateAll } from "./pool.ts";
import type { SabotageName } from "./sabotage.ts";
import type { Report } from "./worker.ts";

// It takes every core for a while: tests that run beside it and look at the clock come first.
setPriority(constants.priority.PRIORITY_LOW);

const workers = Math.max(2, availableParallelism());
/** Each an hour of faults. */
const SEEDS = 2000;

async function reportsOf(seeds: readonly number[], hours: number): Promise<Report[]> {
  const reports: Report[] = [];
  const left = [...seeds];
  await simulateAll({ workers, hours, nextSeed: () => left.shift(), onReport: (report) => reports.push(report) });
  return reports.sort((a, b) => a.seed - b.seed);
}

function wordsOf(reports: readonly Report[]): string[] {
  return reports.flatMap(({ seed, findings }) => findings.slice(0, 5).map(({ kind, text }) => `seed ${seed}: ${kind}: ${text}`));
}

test.serial("the same seed is the same history, byte for byte", async (t) => {
  const seeds = [3, 8, 11, 3, 8, 11];
  const reports = await reportsOf(seeds, 0.5);
  for (const seed of new Set(seeds)) {
    const [one, other] = reports.filter((report) => report.seed === seed);
    t.truthy(one?.digest);
    t.is(one?.digest, other?.digest, `seed ${seed}`);
    t.is(one?.events, other?.events);
  }
  t.is(new Set(reports.map(({ digest }) => digest)).size, 3, "each seed is a history of its own");
});

test.serial(`nothing is wrong in ${SEEDS} fleets`, async (t) => {
  t.timeout(3_000_000);
  const beginMs = systemClock.mono();
  const reports = await reportsOf(
    Array.from({ length: SEEDS }, (_, index) => index + 1),
    1,
  );
  const seconds = (systemClock.mono() - beginMs) / 1000;
  const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0);
  const hours = sum(({ fleetHours }) => fleetHours);
  t.log(`${hours.toFixed(0)} fleet-hours in ${seconds.toFixed(1)} s with ${workers} workers: ${(hours / seconds).toFixed(1)} per second`);
  t.log(`${sum(({ runs }) => runs)} runs, ${sum(({ troubles }) => troubles)} faults, ${sum(({ events }) => events)} events`);
  t.log(`${sum(({ uncovered }) => uncovered.length)} ticks before a change of their job that only an auditor would tell of`);
  t.deepEqual(wordsOf(reports), []);
  t.is(reports.length, SEEDS);
  t.true(sum(({ runs }) => runs) > 30 * SEEDS);
});

type Planted = { readonly what: string; readonly found: string; readonly within: number };

/** `within`: so many fleets. That two masters lead in the end takes a fleet that has two, and a fault in the moment that they are chosen. */
const PLANTED: Readonly<Record<Exclude<SabotageName, "none">, Planted>> = {
  claims: { what: "nobody sees who has claimed a tick", found: "duplicate", within: 6 },
  locks: { what: "the lock of an alone job is not compared", found: "overlap", within: 6 },
  records: { what: "every fortieth record is dropped", found: "untold", within: 6 },
  leader: { what: "two masters may lead", found: "unconverged", within: 100 },
};

for (const [name, { what, found, within }] of Object.entries(PLANTED)) {
  test.serial(`a planted fault is found: ${what}`, async (t) => {
    const kinds = new Set<string>();
    let seeds = 0;
    await simulateAll({
      ...{ workers, hours: 1, sabotage: name as SabotageName },
      nextSeed: () => (kinds.has(found) || seeds === within ? undefined : ++seeds),
      onReport({ findings }) {
        for (const { kind } of findings) kinds.add(kind);
      },
    });
    t.true(kinds.has(found), `in ${seeds} fleets ${found} is not among ${[...kinds].join(", ")}`);
    t.log(`found in the first ${seeds} fleets`);
  });
}
