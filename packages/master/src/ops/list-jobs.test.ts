/** What `-l` lets through. */
import test from "ava";
import { hasLabels } from "./list-jobs.ts";

test("labels by name and value, and by what they must not be", (t) => {
  const labels = { role: "db", "example.org/tier": "1", note: "a!=b=c" };
  t.true(hasLabels(labels, undefined));
  t.true(hasLabels(labels, ["role=db", "example.org/tier=1", "note=a!=b=c"]));
  t.false(hasLabels(labels, ["role=db", "example.org/tier=2"]));
  t.true(hasLabels(labels, "role!=web"));
  t.false(hasLabels(labels, "role!=db"));
  t.true(hasLabels(labels, "owner!=ann"), "who has no such label has not that value");
  t.false(hasLabels(labels, "toString="));
});
