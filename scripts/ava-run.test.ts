import test from "ava";
import { createTapReader, fileOf } from "./ava-run.ts";

/** What the reader makes of ava's output and exit code. */
function read(tap: string, exitCode: number): string {
  const reader = createTapReader();
  for (const line of tap.split("\n")) reader.line(line);
  const { passed, failed } = reader.end(exitCode);
  return `${passed} passed, ${failed} failed`;
}

test("passes, failures, skips and todos are counted apart", (t) => {
  t.is(read("TAP version 13\nok 1 - a\nok 2 - b\n\n1..2\n# fail 0", 0), "2 passed, 0 failed");
  t.is(read("TAP version 13\nok 1 - s # SKIP\nnot ok 2 - later # TODO\nok 3 - a\n\n1..3\n# fail 1", 0), "1 passed, 0 failed");
  t.is(read("TAP version 13\nok 1 - a\nnot ok 2 - b\n  ---\n  ...\n\n1..2\n# fail 1", 1), "1 passed, 1 failed");
});

test("what ava's own summary hides is a failure", (t) => {
  t.is(read("TAP version 13\nok 1 - a", 1), "1 passed, 1 failed", "no plan: crash or timeout");
  t.is(read("TAP version 13\nok 1 - a", 0), "1 passed, 1 failed", "no plan, exit 0");
  t.is(read("TAP version 13\nok 1 - a\n\n1..1\n# fail 0", 1), "1 passed, 1 failed", "open handle");
  t.is(read("TAP version 13\n\n1..0\n# fail 0", 1), "0 passed, 1 failed", "no files");
  t.is(read("TAP version 13\nok 1 - s # SKIP\n\n1..1", 0), "0 passed, 1 failed", "only skipped");
});

test("a failure is shown with its details, a pass with its title", (t) => {
  const reader = createTapReader();
  const shown = ["TAP version 13", "ok 1 - a", "not ok 2 - b", "  ---", "    name: X", "  ...", "1..2", "# tests 2"].map((line) =>
    reader.line(line),
  );
  t.deepEqual(shown, [undefined, "✔ a", "✘ b", "  ---", "    name: X", "  ...", undefined, undefined]);
});

test("the file of a failed test is found by its title, the longest path wins", (t) => {
  const files = ["test/integration/agent.test.ts", "test/integration/agent/start.test.ts", "scripts/docs.test.ts"];
  t.is(fileOf("test › integration › agent › a › b", files), "test/integration/agent.test.ts");
  t.is(fileOf("test › integration › agent › start › a", files), "test/integration/agent/start.test.ts");
  t.is(fileOf("test/integration/agent.test.ts exited with a non-zero exit code: 1", files), "test/integration/agent.test.ts");
  t.is(fileOf("Error: something outside the tests", files), undefined);
});

test("the details of failures are kept for the end", (t) => {
  const reader = createTapReader();
  for (const line of ["not ok 1 - a", "  ---", "  ...", "ok 2 - b", "not ok 3 - c", "1..3"]) reader.line(line);
  t.deepEqual(reader.end(1).failures, [
    { title: "a", details: ["  ---", "  ..."] },
    { title: "c", details: [] },
  ]);
});
