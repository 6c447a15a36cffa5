/** One run: the fleet, its traffic, the drawn faults round by round, and the judgement. */
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "fleetcron-shared/base/clock";
import { eventually } from "../support/fleet.ts";
import { CONVERGE_MS, converge } from "./check/converge.ts";
import { readEvidence } from "./check/evidence.ts";
import { gather, type Judgement, judge } from "./check/judge.ts";
import { type TargetFacts, targetsOf } from "./check/targets.ts";
import { FAULTS } from "./faults/all.ts";
import { type Fault, resolveTouches } from "./faults/fault.ts";
import { type ChaosFleet, startChaosFleet } from "./fleet.ts";
import type { Net } from "./net/net.ts";
import { drawPlan, type Planned, type Round } from "./plan.ts";
import { startTraffic, type Traffic } from "./traffic/traffic.ts";

export type ChaosOptions = {
  readonly seed: number;
  readonly seconds: number;
  /** Only these. */
  readonly faults?: readonly string[] | undefined;
  readonly net?: Net["kind"] | undefined;
  readonly say: (line: string) => void;
};

export type ChaosResult = Judgement & {
  readonly folder: string;
  readonly converged: readonly (number | undefined)[];
  readonly strikes: Readonly<Record<string, number>>;
  readonly failed: readonly string[];
};

/** Ticks after the last heal that are judged: their verdicts have time enough. */
const JUDGED_AFTER_HEAL_MS = 4000;
/** … and when all is read. */
const JUDGED_LATER_MS = 20_000;

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, seconds, say } = options;
  const chosen = FAULTS.filter(({ name }) => options.faults === undefined || options.faults.includes(name));
  const fleet = await startChaosFleet(options.net === undefined ? {} : { net: options.net });
  let keep = true;
  try {
    say(`seed ${seed}, ${seconds} s, ${fleet.net.kind}${fleet.net.lacks.map((lack) => ` (no ${lack})`).join("")}, in ${fleet.folder}`);
    const able = chosen.filter((fault) => {
      const why = fault.available(fleet);
      if (why !== undefined) say(`left out: ${fault.name}: ${why}`);
      return why === undefined;
    });
    const traffic = await startTraffic(fleet, seed);
    const createdMs = systemClock.now();
    await eventually(
      "every node runs",
      async () => new Set(readEvidence(fleet.evidence).map(({ node }) => node)).size === fleet.cast.agents.length,
      60_000,
    );
    const plan = drawPlan(seed, { seconds, faults: able, cast: fleet.cast });
    writeFileSync(join(fleet.folder, "plan.json"), JSON.stringify(plan, undefined, 1));
    const fromMs = systemClock.now() + 2000;
    const converged: (number | undefined)[] = [];
    const failed: string[] = [];
    const strikes: Record<string, number> = {};
    const counted = (name: string) => {
      strikes[name] = (strikes[name] ?? 0) + 1;
    };
    let last: TargetFacts | undefined;
    for (const [index, round] of plan.entries()) {
      const { convergence, healedMs, facts } = await playRound(fleet, traffic, round, { fromMs, createdMs, counted });
      converged.push(convergence.ms);
      last = facts;
      say(
        `round ${index + 1} of ${plan.length}: ${round.strikes.length} faults, ${convergence.ms === undefined ? "NOT converged" : `converged after ${convergence.ms} ms`}`,
      );
      if (convergence.ms === undefined || convergence.ms > CONVERGE_MS) {
        for (const member of fleet.cast.members) writeFileSync(join(fleet.folder, `${member}.log`), fleet.logOf(member));
        const about = { round: index + 1, healed: new Date(healedMs).toISOString(), open: convergence.open };
        appendFileSync(join(fleet.folder, "not-converged.jsonl"), `${JSON.stringify(about)}\n`);
        failed.push(
          `round ${index + 1} did not converge within ${CONVERGE_MS} ms: ${convergence.open.length} open: ${convergence.open.slice(0, 5).join("; ")}`,
        );
      }
      await systemClock.sleep(Math.max(fromMs + round.untilMs, healedMs + JUDGED_LATER_MS) - systemClock.now());
    }
    await traffic.rest();
    if (last === undefined) throw new Error("no round was played");
    const gathered = await gather(fleet, last);
    writeFileSync(join(fleet.folder, "gathered.json"), JSON.stringify(gathered));
    const judgement = judge(gathered);
    writeFileSync(join(fleet.folder, "judgement.json"), JSON.stringify(judgement, undefined, 1));
    keep = failed.length + judgement.findings.length > 0;
    return { ...judgement, folder: fleet.folder, converged, strikes, failed: [...failed, ...judgement.findings] };
  } finally {
    await fleet.close(keep);
  }
}

type RoundAbout = { fromMs: number; createdMs: number; counted: (fault: string) => void };

async function playRound(fleet: ChaosFleet, traffic: Traffic, round: Round, { fromMs, createdMs, counted }: RoundAbout) {
  traffic.go();
  const quieting = systemClock.sleep(fromMs + round.healMs - 4000 - systemClock.now()).then(() => traffic.rest());
  await Promise.all(round.strikes.map((strike) => play(fleet, strike, fromMs, counted)));
  await systemClock.sleep(fromMs + round.healMs - systemClock.now());
  const healedMs = Math.max(...fleet.faults.stretches().map(({ untilMs }) => untilMs ?? systemClock.now()), fromMs + round.fromMs);
  fleet.faults.note("all healed");
  const facts = {
    ...{ specs: traffic.specs, nodes: fleet.cast.agents, fromMs, createdMs },
    ...{ untilMs: healedMs + JUDGED_AFTER_HEAL_MS, deeds: traffic.deeds, stretches: fleet.faults.stretches() },
  };
  const resting = quieting.catch((thrown: unknown) => fleet.faults.note("traffic did not rest", { error: String(thrown) }));
  const convergence = await converge(fleet, {
    healedMs,
    limitMs: CONVERGE_MS + 4000,
    sinceMs: fromMs + round.fromMs,
    jobs: Object.keys(traffic.specs),
    deeds: traffic.deeds,
    // What is due after the heal takes its usual time.
    targets: () => targetsOf({ ...facts, fromMs: fromMs + round.fromMs, untilMs: healedMs, seenOnly: true }),
  });
  await resting;
  return { convergence, healedMs, facts };
}

async function play(fleet: ChaosFleet, strike: Planned, fromMs: number, counted: (fault: string) => void): Promise<void> {
  await systemClock.sleep(fromMs + strike.atMs - systemClock.now());
  const fault = FAULTS.find(({ name }) => name === strike.fault) as Fault;
  const touches = await resolveTouches(fleet, strike.touches);
  const end = fleet.faults.begin(strike.fault, touches, JSON.stringify(strike.how));
  counted(strike.fault);
  try {
    const heal = await fault.inject(fleet, { ...strike, touches });
    await systemClock.sleep(fromMs + strike.atMs + strike.forMs - systemClock.now());
    await heal();
  } catch (thrown) {
    // A fault that cannot be done now (etcd has no majority) is none; one that cannot be healed shows.
    fleet.faults.note("a fault failed", { fault: strike.fault, error: String(thrown) });
  } finally {
    end();
  }
}
