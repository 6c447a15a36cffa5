/** What `check-shape` holds the repository to: every rule's table and every exception, with its reason. */

/** Raw lines a file may have. */
export const MAX_LINES = 300;
export const MAX_TEST_LINES = 400;

/**
 * Which folders a folder may import from, besides itself. Folders stand in the order of the data's way; what is not listed is refused.
 * A package's top-level files (main, wiring, config) are its folder `src`: they may import every folder of the package. Those of
 * COMMON_FILES are its folder `common`.
 */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "shared/base": [],
  "shared/model": ["shared/base"],
  "shared/wire": ["shared/base", "shared/model"],
  "shared/store": ["shared/base", "shared/model", "shared/wire"],
  "shared/ssh": ["shared/base", "shared/model"],
  // Judges what all parts together have done; it knows none of them.
  "shared/check": ["shared/base", "shared/model"],
  // What the programs share when they call out.
  "shared/metrics": ["shared/base"],
  "shared/net": ["shared/base"],

  // A stage hands on to later ones: it may call them, and be handed their values; against the way it may only know types (TYPES_ONLY).
  "agent/watch": ["shared", "agent/plan", "agent/run"],
  "agent/plan": ["shared"],
  // Ends of the way that touch nothing of it: files and etcd only.
  "agent/logs": ["shared"],
  "agent/policy": ["shared", "agent/runners"],
  "agent/secrets": ["shared", "agent/logs"],
  "agent/fire": ["shared", "agent/plan", "agent/run", "agent/report", "agent/logs", "agent/policy", "agent/secrets"],
  "agent/run": ["shared", "agent/plan", "agent/runners", "agent/spawner", "agent/report", "agent/logs", "agent/policy", "agent/secrets"],
  "agent/runners": ["shared", "agent/spawner", "agent/run", "agent/logs", "agent/secrets"],
  // A program of its own, that the agent talks to; it looks after logs as long as they grow.
  "agent/spawner": ["shared", "agent/logs", "agent/runners"],
  "agent/report": ["shared", "agent/run"],
  "agent/metrics": ["shared", "agent/plan", "agent/report"],
  "agent/src": ["shared", "agent"],

  "master/common": ["shared"],
  "master/notify": ["shared", "master/common"],
  "master/history": ["shared", "master/common"],
  "master/hooks": ["shared", "master/common"],
  // What the API's routes see of etcd, and what they leave in the audit log.
  "master/access": ["shared", "master/common"],
  "master/ops": ["shared", "master/common", "master/history", "master/http", "master/notify", "master/hooks"],
  "master/leader": ["shared", "master/common", "master/history", "master/ops", "master/notify"],
  "master/pipelines": ["shared", "master/common", "master/ops", "master/leader"],
  "master/triggers": ["shared", "master/common", "master/ops", "master/leader", "master/notify", "master/pipelines"],
  "master/metrics": ["shared", "master/common"],
  "master/http": ["shared", "master/common", "master/access", "master/history", "master/ops"],
  "master/client": ["shared", "master/common", "master/http"],
  // Agents on other hosts; their settings are checked as the agent does.
  "master/install": ["shared", "agent/src"],
  // `serve` and `up` start the master (master/src) and the agents.
  "master/cli": ["shared", "master/common", "master/client", "master/install", "master/http", "master/src", "agent"],
  "master/src": ["shared", "master", "agent/src"],
  "master/web": ["master/client", "shared/model"],
};

/** Top-level files of a package that hold its own vocabulary, for every folder of it. */
export const COMMON_FILES: Readonly<Record<string, readonly string[]>> = {
  master: ["caller.ts", "job-ref.ts", "kill-points.ts", "observe.ts", "timetable.ts", "views.ts"],
};

/** Folders that may only import types from another: the value would tie them together at run time. */
export const TYPES_ONLY: readonly { readonly from: string; readonly to: string; readonly why: string }[] = [
  { from: "agent/metrics", to: "agent/plan", why: "it counts what is due" },
  { from: "agent/metrics", to: "agent/report", why: "it counts what is reported" },
  { from: "master/client", to: "master/http", why: "the client speaks the API's types, it does not run the server" },
  { from: "master/ops", to: "master/http", why: "an operation answers in the API's shapes, it does not know the server" },
  { from: "agent/watch", to: "agent/run", why: "orders pass through `fire`" },
  { from: "agent/run", to: "agent/plan", why: "an execution does not ask when things are due" },
  { from: "agent/spawner", to: "agent/runners", why: "the protocol names what a session is made of; the spawner knows no runner" },
  { from: "agent/runners", to: "agent/run", why: "a runner fills the port of `run`, it does not call it" },
  { from: "agent/report", to: "agent/run", why: "`report` delivers what `run` hands over, it does not call it" },
];

/** Libraries that only some files may import (paths or folders, relative to `packages/`). */
export const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  etcd3: ["shared/src/store/etcd-kv.ts", "shared/src/store/etcd-auth.ts"],
  "cron-parser": ["shared/src/model/calendar/"],
  pino: ["shared/src/base/log.ts"],
  fastify: ["master/src/http/"],
  "@fastify/swagger": ["master/src/http/openapi.ts"],
  "@fastify/rate-limit": ["master/src/http/rate-limit.ts"],
  "prom-client": ["shared/src/metrics/"],
  commander: ["master/src/cli/", "master/src/main.ts", "agent/src/main.ts"],
  "cli-table3": ["master/src/cli/"],
  nodemailer: ["master/src/notify/"],
  "node:sqlite": ["agent/src/run/", "master/src/history/"],
  pg: ["master/src/history/"],
  "node:child_process": ["agent/src/run/", "agent/src/runners/", "master/src/cli/"],
  ssh2: ["shared/src/ssh/"],
  "ssh-config": ["shared/src/ssh/"],
  koffi: ["agent/src/spawner/libc.ts"],
  "node:timers": ["shared/src/base/clock.ts"],
  "openid-client": ["master/src/access/oidc-provider.ts"],
  "oidc-provider": [],
  undici: ["agent/src/runners/http/"],
  "@kubernetes/client-node": ["agent/src/runners/kubernetes/"],
  preact: ["master/web/"],
  "@preact/signals": ["master/web/"],
  uplot: ["master/web/"],
  esbuild: [],
  "playwright-core": [],
  "axe-core": [],
  ava: [],
  "fast-check": [],
};

/** An ambient call that only named files may make; everyone else gets it as a dependency. */
export type Ban = {
  readonly what: string;
  readonly pattern: RegExp;
  readonly instead: string;
  /** Path → why it may. */
  readonly allowed: Readonly<Record<string, string>>;
};

const MAINS = {
  "packages/agent/src/main.ts": "the agent's entry",
  "packages/agent/src/spawner/main.ts": "the spawner process's entry",
  "packages/agent/src/runners/main.ts": "the session host process's entry",
  "packages/master/src/main.ts": "the master's and the CLI's entry",
};

export const BANS: readonly Ban[] = [
  {
    what: "Date.now",
    pattern: /\bDate\s*\.\s*now\b/g,
    instead: "take a Clock (base/clock.ts)",
    allowed: { "packages/shared/src/base/clock.ts": "is the clock", "packages/master/web/base/clock.ts": "is the browser's clock" },
  },
  { what: "new Date()", pattern: /\bnew\s+Date\s*(?:\(\s*\)|(?=[;,)\s]))/g, instead: "take a Clock (base/clock.ts)", allowed: {} },
  {
    what: "performance.now",
    pattern: /\bperformance\s*\.\s*now\b/g,
    instead: "take a Clock (base/clock.ts)",
    allowed: { "packages/master/web/base/clock.ts": "is the browser's clock" },
  },
  {
    what: "a timer",
    pattern: /(?<![.\w$])(?:setTimeout|setInterval)\b/g,
    instead: "use clock.after or clock.sleep (base/clock.ts)",
    allowed: { "packages/shared/src/base/clock.ts": "is the clock", "packages/master/web/base/clock.ts": "is the browser's clock" },
  },
  {
    what: "setImmediate",
    pattern: /(?<![.\w$])setImmediate\b/g,
    instead: "await what you wait for",
    allowed: {
      "packages/shared/src/base/clock.ts": "is the clock",
    },
  },
  {
    what: "Math.random",
    pattern: /\bMath\s*\.\s*random\b/g,
    instead: "take a Random (base/random.ts)",
    allowed: { "packages/shared/src/base/random.ts": "is the source of randomness" },
  },
  { what: "process.env", pattern: /\bprocess\s*\.\s*env\b/g, instead: "take the value from the main file", allowed: MAINS },
  {
    what: "process.exit",
    pattern: /\bprocess\s*\.\s*exit(?:Code)?\b/g,
    instead: "throw or return; the main file ends the process",
    allowed: MAINS,
  },
  {
    what: "console",
    pattern: /(?<![.\w$])console\s*\./g,
    instead: "take a Log (base/log.ts), or write to the stream that was passed in",
    allowed: {},
  },
];

/** Tests wait for facts: timers are refused there too, but for these folders. */
export const TIMERS_IN_TESTS_ALLOWED: Readonly<Record<string, string>> = {
  "test/support/": "the shared helpers poll for facts with a deadline",
  "test/fixtures/": "programs that jobs run",
  "test/bench/": "measures time",
};
