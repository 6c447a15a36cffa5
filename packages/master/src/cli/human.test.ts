import test from "ava";
import { humanBytes, humanDuration, humanTime, plain, plainOutput } from "./human.ts";

test("durations keep at most two units", (t) => {
  const cases: [number, string][] = [
    [0, "0s"],
    [45, "45ms"],
    [999, "999ms"],
    [999.6, "1s"],
    [2500, "2.5s"],
    [9960, "10s"],
    [59_400, "59s"],
    [59_600, "1m"],
    [180_000, "3m"],
    [200_000, "3m20s"],
    [3_599_600, "1h"],
    [5_400_000, "1h30m"],
    [86_399_000, "1d"],
    [190_800_000, "2d5h"],
    [-90_000, "-1m30s"],
  ];
  for (const [ms, text] of cases) t.is(humanDuration(ms), text, String(ms));
});

test("times are told by how far away they are", (t) => {
  const now = Date.UTC(2027, 0, 1);
  const at = (ms: number) => humanTime(new Date(now + ms).toISOString(), now);
  t.is(at(0), "now");
  t.is(at(180_000), "in 3m");
  t.is(at(-2000), "2s ago");
  t.is(at(-700), "1s ago");
  t.is(at(90_000), "in 1m30s");
  t.is(at(45 * 60_000), "in 45m");
  t.is(at(-26 * 3_600_000), "1d2h ago");
  t.is(at(-40 * 86_400_000), "40d ago");
  t.is(humanTime(undefined, now), "-");
  t.is(humanTime(null, now), "-");
  t.is(humanTime("soon", now), "soon");
});

test("sizes", (t) => {
  t.is(humanBytes(12), "12 B");
  t.is(humanBytes(2048), "2.0 KiB");
  t.is(humanBytes(3 * 2 ** 30), "3.0 GiB");
});

test("control characters of other people are shown, not obeyed", (t) => {
  t.is(plain("a\x1b[2Jb\nc\u202e"), "a\\x1b[2Jb\\nc\\u202e");
  t.is(plainOutput("\x1b[31mred\x1b[0m\n\tx\x1b[2J\r"), "\x1b[31mred\x1b[0m\n\tx\\x1b[2J\\x0d");
});
