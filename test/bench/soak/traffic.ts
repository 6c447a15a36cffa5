/**
 * Mixed traffic on a fleet: jobs of every kind, mode and overlap that succeed, fail, are retried, run out of time, print too much and hand back
 * results; pipelines; and meanwhile people and programs that order, kill, edit, pause, delete, label, read and follow. What is made is also unmade,
 * so a fleet that keeps nothing too long stays level.
 */
import type { ApiClient } from "fleetcron/client/api";
import { systemClock } from "fleetcron-shared/base/clock";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";

export type Traffic = {
  /** How often each thing was done, and what failed against expectation. */
  readonly done: ReadonlyMap<string, number>;
  readonly faults: readonly string[];
  /** How many orders that asks for at most: one for each run and kill, one for each attempt of each task of a pipeline, and what a log is read by. */
  orders(): number;
  stop(): Promise<void>;
};

const RETAIN = { count: 20 };
const BEAT_MS = 1000;
const NODES = ["n1", "n2", "n3"];
/** `make`, `left`, `right` twice, `all` on three nodes. */
const ATTEMPTS_A_CHAIN = 7;
const FAULTS_KEPT = 20;
/** What races bring: a run that has ended before its kill, a job that was deleted meanwhile. */
const EXPECTED = new Set([
  "execution/not-found",
  "execution/ended",
  "job/not-found",
  "write/conflict",
  "pipeline/not-now",
  "record/not-found",
  "log/not-kept",
]);

function job(script: string, timer: string, more: Partial<JobSpec> = {}): JobSpec {
  return { run: { command: { script, cwd: "/" } }, rules: [{ mode: "cycle", timer }], retain: RETAIN, ...more };
}

function jobs(): Record<string, JobSpec> {
  const echo = 'echo "$FLEETCRON_DUE $FLEETCRON_EXECUTION"';
  const common = Object.fromEntries(Array.from({ length: 4 }, (_, i) => [`soak/common-${i}`, job(echo, "* * * * * *")]));
  const interval = Object.fromEntries(
    Array.from({ length: 3 }, (_, i) => [`soak/interval-${i}`, job(echo, "* * * * * *", { kind: "interval" })]),
  );
  return {
    ...common,
    ...interval,
    "soak/alone": job("sleep 0.3; echo $FLEETCRON_FENCE", "*/2 * * * * *", { kind: "alone" }),
    "soak/alone-queue": job("sleep 1.5", "*/2 * * * * *", { kind: "alone", overlap: "queue" }),
    "soak/fails": job("echo no; exit 3", "*/4 * * * * *", { kind: "interval", retry: { limit: 2, delay: "1s", backoff: "exponential" } }),
    "soak/late": job("sleep 30", "*/6 * * * * *", { kind: "interval", timeout: "1s", killGrace: "1s" }),
    "soak/loud": job("head -c 300000 /dev/zero | tr '\\0' x", "*/5 * * * * *", { log: { maxBytes: "64KiB" } }),
    "soak/result": job(`echo "LAST=$FLEETCRON_DUE" >> "$FLEETCRON_RESULT"`, "*/5 * * * * *", { kind: "interval" }),
    "soak/overlaps": job("sleep 7", "*/3 * * * * *"),
    "soak/replaced": job("sleep 7", "*/5 * * * * *", { overlap: "replace" }),
    "soak/leaves-a-child": job("sleep 3 & echo left", "*/7 * * * * *"),
    "soak/pool": job(echo, "* * * * * *", { rules: [{ mode: "cycle", timer: "* * * * * *", target: { labels: { pool: "on" } } }] }),
    "soak/ordered": job("for i in 1 2 3 4 5 6; do echo line $i; sleep 0.5; done", "0 0 1 1 *", { kind: "interval" }),
  };
}

/** Ticks of interval and alone jobs a second, each of which is claimed: of `jobs()`, and of the jobs that come and go (two and a half of five on average). */
export function claimedTicksPerSecond(): number {
  const secondsOf = (timer: string) => Number(/^\*\/(\d+) /.exec(timer)?.[1] ?? 1);
  const all = Object.values(jobs()).filter(({ kind }) => kind === "interval" || kind === "alone");
  const timers = all.flatMap(({ rules }) => rules.map(({ timer = "" }) => timer)).filter((timer) => timer.startsWith("*"));
  return timers.reduce((sum, timer) => sum + 1 / secondsOf(timer), 2.5);
}

const PIPELINE: PipelineSpec = {
  retain: RETAIN,
  stages: [
    { name: "first", tasks: [{ name: "make", job: { run: { command: { script: 'echo "WHAT=it" >> "$FLEETCRON_RESULT"', cwd: "/" } } } }] },
    {
      name: "then",
      parallel: true,
      tasks: [
        { name: "left", job: { run: { command: { script: "echo $WHAT", cwd: "/" } } } },
        {
          name: "right",
          job: { run: { command: { script: "sleep 0.5; exit 1", cwd: "/" } } },
          retry: { limit: 1, delay: "1s" },
          ignoreFailed: true,
        },
      ],
    },
    {
      name: "each",
      tasks: [{ name: "all", target: { nodes: NODES }, forEachNode: true, job: { run: { command: { script: "true", cwd: "/" } } } }],
    },
  ],
};

export async function startTraffic(api: ApiClient): Promise<Traffic> {
  const apply = (what: object) => api.apply({ files: [{ name: "soak.json", text: JSON.stringify(what) }] });
  await apply({ jobs: jobs(), pipelines: { "soak/chain": PIPELINE } });
  const stopping = new AbortController();
  const done = new Map<string, number>();
  const faults: string[] = [];
  const begun = { orders: 0, chains: 0 };
  const ordered = { group: "soak", id: "ordered" };
  const chain = { group: "soak", id: "chain" };

  async function attempt(name: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
      done.set(name, (done.get(name) ?? 0) + 1);
    } catch (thrown) {
      if (stopping.signal.aborted || (thrown instanceof AppError && EXPECTED.has(thrown.code))) return;
      if (faults.length < FAULTS_KEPT) faults.push(`${name}: ${asError(thrown).message}`);
      done.set("faults", (done.get("faults") ?? 0) + 1);
    }
  }

  async function orderAndFollow(beat: number): Promise<void> {
    begun.orders++;
    const { orders } = await api.runJob(ordered, {}, `soak-order-${beat}`);
    const execution = orders[0]?.execution ?? "";
    if (beat % 3 === 0) {
      await systemClock.sleep(1000, stopping.signal);
      await api.killExecution(execution, {});
    } else if (beat % 3 === 1) {
      for await (const _ of api.followLog(execution, {}, undefined, stopping.signal));
    }
  }

  async function runChain(beat: number): Promise<void> {
    begun.chains++;
    const { id } = await api.runPipeline(chain, {}, `soak-chain-${beat}`);
    if (beat % 4 !== 0) return;
    await systemClock.sleep(300, stopping.signal);
    await api.cancelRun(id, {});
  }

  /** A job that comes, runs, is paused, and goes. */
  async function passing(beat: number): Promise<void> {
    const key = { group: "passing", id: `j${beat % 5}` };
    const isThere = Math.floor(beat / 5) % 2 === 1;
    if (isThere) return void (await api.deleteJob(key));
    await apply({ jobs: { [`passing/${key.id}`]: job("echo hi", "* * * * * *", { kind: "interval" }) } });
    await api.pauseJob(key);
    await api.resumeJob(key);
  }

  async function read(beat: number): Promise<void> {
    const page = await api.records({ limit: 50 });
    const first = page.items[0];
    if (first !== undefined) await api.record(first.id);
    await Promise.all([
      api.jobs({ limit: 100 }),
      api.nodes({}),
      api.procs({}),
      api.executions({ limit: 20 }),
      api.pipelineRuns({ limit: 20 }),
    ]);
    await api.why({ group: "soak", id: `interval-${beat % 3}` }, {});
  }

  const things: readonly (readonly [name: string, everyBeats: number, work: (beat: number) => Promise<unknown>])[] = [
    ["orders", 2, orderAndFollow],
    ["pipeline runs", 3, runChain],
    ["edits", 2, (beat) => apply({ jobs: { "soak/common-0": { ...jobs()["soak/common-0"], description: `edited ${beat}` } } })],
    ["jobs that come and go", 3, (beat) => passing(beat / 3)],
    ["labels", 10, (beat) => api.labelNode(NODES[(beat / 10) % 3] ?? "", beat % 20 === 0 ? { set: { pool: "on" } } : { remove: ["pool"] })],
    ["reads", 1, read],
  ];
  /** What takes long does not hold up the rest. */
  const open = new Set<Promise<void>>();
  const run = async () => {
    for (let beat = 0; !stopping.signal.aborted; beat++) {
      for (const [name, every, work] of things) {
        if (beat % every !== 0) continue;
        const one = attempt(name, () => work(beat)).finally(() => open.delete(one));
        open.add(one);
      }
      await systemClock.sleep(BEAT_MS, stopping.signal);
    }
    await Promise.all(open);
  };
  const running = run();
  return {
    done,
    faults,
    orders: () => begun.orders * 3 + begun.chains * ATTEMPTS_A_CHAIN,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
