import test from "ava";
import { isCode } from "fleetcron-shared/base/errors";
import { parseCount, parseId, parseInstant, parseJobRef, parsePairs, parseSpan } from "./arguments.ts";

test("jobs are named group/id, or id in the default group", (t) => {
  t.deepEqual(parseJobRef("db/backup"), { group: "db", id: "backup" });
  t.deepEqual(parseJobRef("backup"), { group: "default", id: "backup" });
  for (const bad of ["a/b/c", "/b", "a/", "", "A/b", "a/../b", "a%2Fb/c", "a b/c", `a/${"x".repeat(64)}`]) {
    t.true(
      isCode(
        t.throws(() => parseJobRef(bad)),
        "input/usage",
      ),
      bad,
    );
  }
});

test("ids hold no slash", (t) => {
  t.is(parseId("web-1.example", "a node"), "web-1.example");
  for (const bad of ["a/b", "", "..\n", "ä"]) t.throws(() => parseId(bad, "a node"), { message: /is not the id of a node/ }, bad);
});

test("pairs, durations, numbers, times", (t) => {
  t.deepEqual(parsePairs(["A=1", "B=x=y", "C="], "--env"), { A: "1", B: "x=y", C: "" });
  t.throws(() => parsePairs(["A"], "--env"), { message: '--env "A" is not of the form NAME=VALUE' });
  t.throws(() => parsePairs(["=1"], "--env"));
  t.is(parseSpan("1m30s", "--timeout"), 90_000);
  for (const bad of ["0", "-1s", "5", "soon"]) t.throws(() => parseSpan(bad, "--timeout"), { message: /is not a duration/ }, bad);
  t.is(parseCount("5", "-n", 1, 10), 5);
  for (const bad of ["0", "11", "1e1", "x", "-1", "1.5"])
    t.throws(() => parseCount(bad, "-n", 1, 10), { message: /whole number from 1 to 10/ }, bad);
  const now = Date.UTC(2027, 0, 1);
  t.is(parseInstant("2027-01-31T09:00:00+01:00", "TIME", now), "2027-01-31T08:00:00.000Z");
  t.is(parseInstant("2027-01-31 08:00Z", "TIME", now), "2027-01-31T08:00:00.000Z");
  t.is(parseInstant("10m", "TIME", now), "2026-12-31T23:50:00.000Z");
  for (const bad of ["yesterday", "2027-01-31", "08:00", "2027-02-31T25:00:00Z"])
    t.throws(() => parseInstant(bad, "TIME", now), { message: /is not a time/ }, bad);
});
