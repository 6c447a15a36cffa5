import test from "ava";
import { parseJobSpec } from "fleetcron-shared/model/job-check";
import { compileJob } from "fleetcron-shared/model/job-compile";
import { createTimetable } from "./timetable.ts";

const MINUTE = 60_000;

test("the next tick is kept until it has passed, and is right whenever it is asked for", (t) => {
  const at = Date.parse("2026-06-01T12:00:30Z");
  const spec = parseJobSpec(
    "g",
    "x",
    {
      run: { command: { script: "true" } },
      rules: [
        { mode: "cycle", timer: "*/5 * * * *" },
        { mode: "cycle", timer: "7 * * * *" },
      ],
    },
    at,
  );
  const stored = {
    v: 1 as const,
    group: "g",
    id: "x",
    createdAt: "2026-01-01T00:00:00Z",
    updatedAt: "2026-01-01T00:00:00Z",
    submittedAt: "2026-01-01T00:00:00Z",
  };
  const job = compileJob({ ...stored, revision: 1 }, spec);
  const kept = createTimetable("UTC");
  // Forwards, backwards and at the tick itself: always what a timetable says that has kept nothing.
  for (const minutes of [0, 1, 4, 4.5, 5, 6, 7, 8, 3, 0, 60, 59, 7, -100, 100_000]) {
    const ms = at + minutes * MINUTE;
    t.is(kept.next(job, ms), createTimetable("UTC").next(job, ms), `${minutes}`);
  }
  t.is(new Date(kept.next(job, at) ?? 0).toISOString(), "2026-06-01T12:05:00.000Z");
  t.is(new Date(kept.next(job, Date.parse("2026-06-01T12:05:00Z")) ?? 0).toISOString(), "2026-06-01T12:07:00.000Z");
});
