/** Drawing faults: the seed alone decides, and no two that would undo one another meet. */
import test from "ava";
import { CAST } from "./cast.ts";
import { FAULTS } from "./faults/all.ts";
import { drawPlan, isTouchable, type Planned, QUIET_MS } from "./plan.ts";
import { chance } from "./random.ts";

const plan = (seed: number, seconds = 600) => drawPlan(seed, { seconds, faults: FAULTS, cast: CAST });
const familyOf = (name: string) => FAULTS.find((fault) => fault.name === name)?.family;

test("a seed draws the same, another seed something else", (t) => {
  t.deepEqual(plan(7), plan(7));
  t.notDeepEqual(plan(7), plan(8));
  t.not(chance(1, "a").next(), chance(1, "b").next());
});

test("chance stays in its bounds", (t) => {
  const draws = chance(3, "bounds");
  const seen = new Set(Array.from({ length: 500 }, () => draws.int(2, 5)));
  t.deepEqual([...seen].sort(), [2, 3, 4, 5]);
  t.is(new Set(draws.sample([1, 2, 3], 5)).size, 3);
  t.throws(() => draws.pick([]));
});

test("rounds fill the time, and everything is healed before their quiet", (t) => {
  for (const seconds of [90, 600]) {
    const rounds = plan(11, seconds);
    t.is(rounds[0]?.fromMs, 0);
    t.is(rounds.at(-1)?.untilMs, seconds * 1000);
    for (const round of rounds) {
      t.is(round.untilMs - round.healMs, QUIET_MS);
      t.true(round.strikes.length >= 5);
      for (const { atMs, forMs } of round.strikes) t.true(atMs >= round.fromMs && atMs + forMs <= round.healMs && forMs > 0);
    }
  }
});

test("what would undo one another does not meet, over a hundred seeds; every fault is drawn", (t) => {
  const drawn = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    for (const { strikes } of plan(seed)) {
      for (const strike of strikes) {
        drawn.add(strike.fault);
        t.true(
          strike.touches.every((word) => isTouchable(word, CAST)),
          JSON.stringify(strike),
        );
      }
      for (const [one, two] of pairsAtOnce(strikes)) {
        if (familyOf(one.fault) !== familyOf(two.fault)) continue;
        t.false(["masters", "members", "network", "slowness"].includes(familyOf(one.fault) ?? ""), `${one.fault} and ${two.fault}`);
        t.false(one.touches.some((host) => two.touches.includes(host)));
      }
    }
  }
  t.deepEqual([...drawn].sort(), FAULTS.map(({ name }) => name).sort());
});

test("no faults, no strikes", (t) => {
  t.deepEqual(
    drawPlan(1, { seconds: 90, faults: [], cast: CAST }).flatMap(({ strikes }) => strikes),
    [],
  );
});

function pairsAtOnce(strikes: readonly Planned[]): [Planned, Planned][] {
  return strikes.flatMap((one, index) =>
    strikes
      .slice(index + 1)
      .filter((two) => two.atMs < one.atMs + one.forMs && one.atMs < two.atMs + two.forMs)
      .map((two): [Planned, Planned] => [one, two]),
  );
}
