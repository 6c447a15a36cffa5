import test from "ava";
import { matchesLabel, matchesTarget } from "./target.ts";

const node = { id: "db1", labels: { role: "db", zone: "a" } };
const none = { nodes: [], labels: {}, exclude: [] };

test("an empty target matches every node", (t) => {
  t.true(matchesTarget(none, node));
});

test("nodes are exact ids", (t) => {
  t.true(matchesTarget({ ...none, nodes: ["web1", "db1"] }, node));
  t.false(matchesTarget({ ...none, nodes: ["db"] }, node));
  t.false(matchesTarget({ ...none, nodes: ["db*"] }, node));
});

test("exclude wins over nodes and labels", (t) => {
  t.false(matchesTarget({ nodes: ["db1"], labels: { role: "db" }, exclude: ["db1"] }, node));
});

test("nodes and labels must hold together", (t) => {
  t.false(matchesTarget({ ...none, nodes: ["db1"], labels: { role: "web" } }, node));
  t.false(matchesTarget({ ...none, nodes: ["web1"], labels: { role: "db" } }, node));
  t.true(matchesTarget({ ...none, nodes: ["db1"], labels: { role: "db", zone: ["a", "b"] } }, node));
});

test("a label of the prototype is not a label of the node", (t) => {
  t.false(matchesTarget({ ...none, labels: { toString: "*" } }, node));
});

const cases: [string | undefined, string | string[], boolean][] = [
  ["db", "db", true],
  ["db", "web", false],
  [undefined, "db", false],
  ["db", "!=db", false],
  ["web", "!=db", true],
  [undefined, "!=db", true],
  ["db", ["db", "web"], true],
  ["x", ["db", "web"], false],
  [undefined, ["db"], false],
  ["db", "*", true],
  [undefined, "*", false],
  ["db", "!*", false],
  [undefined, "!*", true],
];
for (const [value, wanted, expected] of cases) {
  test(`label ${value ?? "(absent)"} against ${JSON.stringify(wanted)} is ${expected}`, (t) => {
    t.is(matchesLabel(value, wanted), expected);
  });
}
