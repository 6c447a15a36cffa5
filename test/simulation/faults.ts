/** What befalls a simulated fleet, drawn by the seed: one fault after another, each healed after its time, all of them when the world says so. */
import { AGENT_POINTS } from "../../packages/agent/src/spawner/kill-points.ts";
import type { SimMaster } from "./master-process.ts";
import type { SimNode } from "./node-process.ts";
import type { Dice } from "./random.ts";
import type { VirtualTime } from "./virtual-time.ts";

export type FaultDeps = {
  readonly time: VirtualTime;
  readonly dice: Dice;
  readonly nodes: readonly SimNode[];
  readonly masters: readonly SimMaster[];
  readonly compact: () => void;
  readonly trace: (what: string) => void;
};

export type Faults = {
  begin(untilMs: number): void;
  /** Ends what is under way and starts what is down. */
  heal(): void;
  /** The spans in which something was wrong, from the fault to its heal. */
  readonly spans: readonly { readonly fromMs: number; toMs: number }[];
};

const MASTER_DOWN_MS = [300, 40_000] as const;

/** `everyMs`: on average. */
export function createFaults(deps: FaultDeps, everyMs: number): Faults {
  const { time, dice, nodes, masters, trace } = deps;
  const spans: { fromMs: number; toMs: number }[] = [];

  function wrong(what: string, lastsMs: number): void {
    trace(`fault: ${what} (${Math.round(lastsMs)} ms)`);
    spans.push({ fromMs: time.nowMs, toMs: time.nowMs + lastsMs });
  }

  function down(): number {
    // Longer than claims live.
    if (dice.chance(0.03)) return dice.int(90 * 60_000, 180 * 60_000);
    return dice.chance(0.15) ? dice.int(120_000, 900_000) : dice.int(500, 60_000);
  }
  const anyone = () => dice.pick([...nodes, ...masters]);

  function cut(): void {
    const count = dice.chance(0.25) ? nodes.length + masters.length : dice.int(1, 2);
    const chosen = count > 2 ? [...nodes, ...masters] : Array.from({ length: count }, anyone);
    const directions = dice.pick([
      { up: true, down: true },
      { up: true, down: true },
      { up: true, down: false },
      { up: false, down: true },
    ]);
    const lastsMs = dice.chance(0.2) ? dice.int(60_000, 400_000) : dice.int(1000, 60_000);
    wrong(`cut ${JSON.stringify(directions)} of ${chosen.length}`, lastsMs);
    for (const { way } of chosen) {
      way?.cut(directions);
      time.at(time.nowMs + lastsMs, () => way?.heal());
    }
  }

  function bad(how: "slow" | "lossy"): void {
    const { way } = anyone();
    const lastsMs = dice.int(5000, 120_000);
    wrong(how, lastsMs);
    if (how === "slow") way?.slow(dice.int(50, 1500));
    else way?.lose(dice.next() / 3);
    time.at(time.nowMs + lastsMs, () => way?.heal());
  }

  const kinds: readonly (() => void)[] = [
    () => {
      const againMs = down();
      wrong("agent killed", againMs);
      dice.pick(nodes).kill(againMs);
    },
    () => {
      const againMs = dice.int(500, 20_000);
      wrong("agent stopped", againMs + 5000);
      dice.pick(nodes).stop(againMs);
    },
    () => {
      const point = dice.pick(AGENT_POINTS);
      wrong(`agent dies at ${point}`, 140_000);
      const node = dice.pick(nodes);
      node.killAt = point;
      time.at(time.nowMs + 120_000, () => {
        node.killAt = undefined;
      });
    },
    () => {
      const ms = dice.int(500, 120_000);
      wrong("agent frozen", ms);
      dice.pick(nodes).process?.pause(ms);
    },
    () => {
      const node = dice.pick(nodes);
      const againMs = dice.int(5000, 180_000);
      wrong("host rebooted", againMs);
      node.host.reboot();
      node.kill(againMs);
    },
    () => {
      const node = dice.pick(nodes);
      wrong("spawner dies", 1000);
      if (node.process !== undefined && !node.process.isPaused) node.host.loseSpawner();
    },
    () => {
      const againMs = dice.int(...MASTER_DOWN_MS);
      wrong("master killed", againMs);
      dice.pick(masters).kill(againMs);
    },
    () => {
      wrong("master stopped", 10_000);
      dice.pick(masters).stop(dice.int(300, 5000));
    },
    () => {
      const ms = dice.int(500, 60_000);
      wrong("master frozen", ms);
      dice.pick(masters).process?.pause(ms);
    },
    cut,
    cut,
    () => bad("slow"),
    () => bad("lossy"),
    () => {
      const ms = dice.chance(0.2) ? dice.int(-60_000, 60_000) : dice.int(-3000, 3000);
      wrong(`clock stepped by ${ms}`, 1000);
      dice.pick(nodes).host.stepClock(ms);
    },
    deps.compact,
  ];

  function next(untilMs: number): void {
    const atMs = time.nowMs + dice.about(everyMs);
    if (atMs < untilMs)
      time.at(atMs, () => {
        dice.pick(kinds)();
        next(untilMs);
      });
  }

  return {
    spans,
    begin: next,
    heal() {
      for (const one of [...nodes, ...masters]) {
        one.way?.heal();
        // Whoever sleeps until after the end is killed instead.
        if (one.process?.isPaused) one.kill(0);
        one.start();
      }
      for (const node of nodes) node.killAt = undefined;
      for (const span of spans) span.toMs = Math.min(span.toMs, time.nowMs);
    },
  };
}
