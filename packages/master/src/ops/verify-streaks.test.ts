import test from "ava";
import type { Target } from "fleetcron-shared/check/history";
import { createStreaks, type Fate } from "./verify-streaks.ts";

const at = (second: number, node?: string): Target => ({
  ...{ job: "t/a", rule: "r1", dueMs: second * 1000, latestMs: second * 1000 + 500 },
  ...(node === undefined ? {} : { node }),
});
const silent: Fate = { kind: "silent", words: "no run and no verdict" };
const missed: Fate = { kind: "missed", words: "missed:nodeOffline" };

test("ticks in a row that share a fate are one finding; anything in between begins another", (t) => {
  const streaks = createStreaks();
  for (const [second, fate] of [silent, silent, undefined, silent, missed, missed].entries()) streaks.add(at(second), fate);
  t.deepEqual(
    streaks.findings().map(({ kind, dueMs, dueUntilMs, ticks }) => [kind, dueMs, dueUntilMs, ticks]),
    [
      ["silent", 0, 1000, 2],
      ["silent", 3000, undefined, undefined],
      ["missed", 4000, 5000, 2],
    ],
  );
  const text = "t/a: 2 ticks in a row, from 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:01.000Z (rule r1): no run and no verdict";
  t.is(streaks.findings()[0]?.text, text);
});

test("each node has its own streaks", (t) => {
  const streaks = createStreaks();
  for (const second of [0, 1]) {
    streaks.add(at(second, "n1"), missed);
    streaks.add(at(second, "n2"), undefined);
  }
  t.deepEqual(
    streaks.findings().map(({ node, ticks, text }) => [node, ticks, text.endsWith("(rule r1, node n1): missed:nodeOffline")]),
    [["n1", 2, true]],
  );
});
