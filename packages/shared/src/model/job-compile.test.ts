import test from "ava";
import { compileJob } from "./job-compile.ts";
import type { JobSpec } from "./job-spec.ts";

const meta = {
  group: "db",
  id: "backup",
  revision: 7,
  createdAt: "2026-01-01T00:00:00.000Z",
  updatedAt: "2026-01-03T00:00:00.000Z",
  submittedAt: "2026-01-02T00:00:00.000Z",
};
const least: JobSpec = {
  run: { command: { script: "true" } },
  rules: [{ mode: "cycle", timer: "@daily" }, { mode: "manyonce", id: "now" }, { mode: "onlyonce" }],
};

test("every absent field gets its default", (t) => {
  t.deepEqual(compileJob(meta, least), {
    key: "db/backup",
    group: "db",
    id: "backup",
    revision: 7,
    createdAtMs: Date.UTC(2026, 0, 1),
    updatedAtMs: Date.UTC(2026, 0, 3),
    submittedAtMs: Date.UTC(2026, 0, 2),
    name: "backup",
    eventId: undefined,
    run: least.run,
    rules: [
      { ...bare, id: "r1", mode: "cycle", timer: "@daily" },
      { ...bare, id: "now", mode: "manyonce" },
      { ...bare, id: "r3", mode: "onlyonce" },
    ],
    kind: "common",
    overlap: "skip",
    parallel: 1,
    misfire: "once",
    misfireWindowMs: 3_600_000,
    onIsolation: "run",
    holdForMs: 30_000,
    onNodeLost: "fail",
    timeoutMs: 0,
    killGraceMs: 10_000,
    retry: { limit: 0, delayMs: 10_000, backoff: "fixed", maxDelayMs: 3_600_000, jitter: 0 },
    pause: false,
    env: {},
    secrets: {},
    successExitCodes: [0],
    successOutput: undefined,
    resultFrom: "file",
    retain: { count: 100, ageMs: 604_800_000 },
    log: { maxBytes: 67_108_864, tailBytes: 8192 },
    notify: [],
    source: { meta, spec: least },
  });
});

const bare = {
  timer: undefined,
  timezone: undefined,
  target: { nodes: [], labels: {}, exclude: [], prefer: [] },
  fromMs: undefined,
  untilMs: undefined,
  jitterMs: 0,
  dstGap: undefined,
  dstFold: undefined,
};

test("given fields are converted", (t) => {
  const job = compileJob(meta, {
    ...least,
    timeout: "1h30m",
    retry: { limit: 2, delay: "250ms", backoff: "exponential" },
    retain: { count: 5 },
    log: { maxBytes: "1MB", tailBytes: "0" },
    rules: [{ mode: "cycle", timer: "@daily", from: "2027-01-01T00:00:00+01:00", jitter: "5s", target: { nodes: ["a"] } }],
  });
  t.is(job.timeoutMs, 5_400_000);
  t.deepEqual(job.retry, { limit: 2, delayMs: 250, backoff: "exponential", maxDelayMs: 3_600_000, jitter: 0 });
  t.deepEqual(job.retain, { count: 5, ageMs: 604_800_000 });
  t.deepEqual(job.log, { maxBytes: 1_000_000, tailBytes: 0 });
  t.is(job.rules[0]?.fromMs, Date.UTC(2026, 11, 31, 23));
  t.is(job.rules[0]?.jitterMs, 5000);
  t.deepEqual(job.rules[0]?.target, { nodes: ["a"], labels: {}, exclude: [], prefer: [] });
});

test("interval and alone hold when isolated", (t) => {
  t.is(compileJob(meta, { ...least, kind: "alone" }).onIsolation, "hold");
  t.is(compileJob(meta, { ...least, kind: "interval" }).onIsolation, "hold");
  t.is(compileJob(meta, { ...least, onIsolation: "hold" }).onIsolation, "hold");
});

test("a value that no check lets pass is reported as such", (t) => {
  t.throws(() => compileJob(meta, { ...least, timeout: "soon" }), { message: /timeout "soon"/ });
});
