import test from "ava";
import { type GraphTask, layOut } from "./graph-layout.ts";

const task = (name: string, after: number, needs: string[] = [], part: "main" | "finally" = "main"): GraphTask => ({
  name,
  part,
  needs,
  after,
});
const columns = (tasks: readonly GraphTask[]) => Object.fromEntries(layOut(tasks).places.map(({ name, column }) => [name, column]));
const edges = (tasks: readonly GraphTask[]) => layOut(tasks).edges.map(({ from, to }) => `${from}>${to}`);

test("stages stand one behind the other, and only the direct lines are drawn", (t) => {
  // a then b, each for itself; c and d together; e; and a task of the end.
  const tasks = [task("a", 0), task("b", 1), task("c", 2), task("d", 2), task("e", 4), task("z", 0, [], "finally")];
  t.deepEqual(columns(tasks), { a: 0, b: 1, c: 2, d: 2, e: 3, z: 4 });
  t.deepEqual(edges(tasks), ["a>b", "b>c", "b>d", "c>e", "d>e"]);
});

test("needs make a graph; a need that is not there counts as met, and a circle does not hang", (t) => {
  const tasks = [task("a", 0), task("b", 0, ["a"]), task("c", 0, ["a", "b", "gone"])];
  t.deepEqual(columns(tasks), { a: 0, b: 1, c: 2 });
  t.deepEqual(edges(tasks), ["a>b", "b>c"]);
  t.is(layOut([task("x", 0, ["y"]), task("y", 0, ["x"])]).places.length, 2);
  t.deepEqual(layOut([]), { places: [], edges: [], columns: 0, rows: 0 });
});
