/** One simulated fleet from its seed to its findings: up to three agents, one or two masters, one etcd, some jobs, people who change them, and faults. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "fleetcron-shared/base/log";
import type { ClusterMeta } from "fleetcron-shared/model/facts";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { encode } from "fleetcron-shared/wire/codec";
import { createKeys } from "fleetcron-shared/wire/keys";
import { createFaults } from "./faults.ts";
import { SimHost } from "./host.ts";
import { openLedger } from "./ledger.ts";
import { SimMaster } from "./master-process.ts";
import { SimNode } from "./node-process.ts";
import { EPOCH_MS, SimProcess } from "./process.ts";
import { unconverged, unquiet } from "./quiet.ts";
import { createDice } from "./random.ts";
import { createSabotage, type SabotageName } from "./sabotage.ts";
import { type Truth, truthOf } from "./truth.ts";
import { createVirtualTime } from "./virtual-time.ts";
import { behaviourOf, createPeople } from "./workload.ts";

export type WorldOptions = {
  readonly seed: number;
  /** Of faults; some minutes of quiet follow. */
  readonly hours: number;
  /** A folder for the few files of the agents; several worlds may share it one after the other. */
  readonly folder: string;
  readonly sabotage?: SabotageName;
  readonly trace?: (line: string) => void;
};

/** Something that is wrong beside what the checker looks at. */
export type Fault = { readonly kind: "fault" | "unconverged" | "unquiet"; readonly text: string };

export type WorldEnd = {
  readonly seed: number;
  /** Simulated, the quiet included. */
  readonly fleetHours: number;
  readonly events: number;
  readonly runs: number;
  readonly troubles: number;
  readonly digest: string;
  readonly truth: Truth;
  readonly faults: readonly Fault[];
  /** When something was wrong. */
  readonly spans: readonly { readonly fromMs: number; readonly toMs: number }[];
  /** How many executions a node takes. */
  readonly capacity: number;
};

const HOUR_MS = 3_600_000;
/** The session of agents and masters, and the 15 s that the fleet has to come together. */
const CONVERGE_MS = 15_000;
const LONGEST_REST_MS = 40 * 60_000;

export async function simulate(options: WorldOptions): Promise<WorldEnd> {
  const dice = createDice(options.seed);
  const time = createVirtualTime();
  const faults: Fault[] = [];
  const trace = (what: string) => options.trace?.(`${(time.nowMs / 1000).toFixed(3).padStart(10)} ${what}`);
  const find = (kind: Fault["kind"], text: string) => faults.push({ kind, text });
  const keys = createKeys("/fleetcron");
  const world = new SimProcess(time, "world", () => 0);
  const store = createMemoryStore({ clock: world.clock });
  const kv = store.connect();
  const sabotage = createSabotage(options.sabotage ?? "none");
  const draw = dice.fork("world");
  const isCalm = draw.chance(0.1);
  const ttlMs = draw.pick([20_000, 30_000, 60_000]);

  const logOf = (name: string): Log => {
    const tell = (level: string) => (fields: object, message: string) => {
      if (level === "error") find("fault", `${name}: ${message} ${JSON.stringify(fields, errorText)}`);
      if (level === "error" || options.trace !== undefined) trace(`${level} ${name}: ${message} ${JSON.stringify(fields, errorText)}`);
    };
    const log: Log = { debug: () => {}, info: tell("info"), warn: tell("warn"), error: tell("error"), child: () => log };
    return log;
  };
  const meta: ClusterMeta = { v: 1, cluster: "simulated", createdAt: new Date(EPOCH_MS).toISOString(), timezone: "UTC" };
  await kv.txn({ then: [{ op: "put", key: keys.meta, value: encode(meta) }] });
  const ledger = openLedger(time, store.connect(), keys, trace);

  const shape = dice.fork("shape");
  const ids = ["n1", "n2", "n3"].slice(0, shape.pick([1, 1, 2, 2, 3]));
  const offset = () => (draw.chance(0.5) ? 0 : draw.int(-2000, 2000));
  const hosts = ids.map((id) => new SimHost({ time, dice: dice.fork(`${id}/processes`) }, id, offset(), behaviourOf));
  const capacity = draw.chance(0.2) ? draw.int(1, 3) : 64;
  const parts = { time, dice, store, keys, logOf, sabotage, trace };
  const nodes = hosts.map((host) => {
    const dataDir = join(options.folder, host.id);
    mkdirSync(dataDir, { recursive: true });
    return new SimNode(parts, host, { prefix: keys.prefix, sessionTtlMs: ttlMs, capacity, dataDir });
  });
  const masters = ["m1", "m2"]
    .slice(0, shape.pick([1, 2]))
    .map(
      (id) =>
        new SimMaster(parts, id, offset(), { sessionTtlMs: Math.min(ttlMs, 30_000), lostAfterMs: draw.pick([30_000, 60_000, 90_000]) }),
    );
  const compact = () => store.compact(Math.max(1, store.revision() - draw.int(0, 200)));
  const keepCompact = () => {
    compact();
    time.at(time.nowMs + 240_000, keepCompact);
  };
  time.at(240_000, keepCompact);

  const people = createPeople(
    dice.fork("people"),
    ids,
    Array.from({ length: draw.int(2, 5) }, (_, n) => `job${n + 1}`),
    trace,
  );
  const troubles = createFaults({ time, dice: dice.fork("faults"), nodes, masters, compact, trace }, draw.pick([60_000, 180_000, 400_000]));
  const untilMs = options.hours * HOUR_MS;
  const worldOf = { kv, keys, hosts, masters };
  /** Asks a master for something, by its own process. */
  const ask = <T>(what: (ops: NonNullable<SimMaster["ops"]>) => Promise<T>): Promise<T | undefined> => {
    const able = masters.filter(({ ops, process }) => ops !== undefined && process?.isPaused === false);
    const master = able.length === 0 ? undefined : draw.pick(able);
    const { promise, resolve } = Promise.withResolvers<T | undefined>();
    master?.process?.onDeath(() => resolve(undefined));
    if (master?.ops === undefined) resolve(undefined);
    else
      what(master.ops).then(resolve, (thrown: unknown) => {
        find("fault", `people: ${JSON.stringify(thrown)} ${String(thrown)}`);
        resolve(undefined);
      });
    return promise;
  };

  /** Runs on until `promise` is settled. */
  async function settled<T>(promise: Promise<T>): Promise<T> {
    const state = { isOver: false };
    const over = () => {
      state.isOver = true;
    };
    promise.then(over, over);
    while (!state.isOver) await time.run(time.nowMs + 100);
    return promise;
  }

  try {
    for (const one of [...nodes, ...masters]) one.start();
    await time.run(5000);
    await settled(ask((ops) => people.create(ops)));
    if (!isCalm) troubles.begin(untilMs);
    const hasPeople = draw.chance(0.6);
    const meddle = () => {
      if (time.nowMs >= untilMs) return;
      void ask((ops) => people.act(ops));
      time.at(time.nowMs + draw.about(150_000), meddle);
    };
    if (hasPeople) time.at(60_000, meddle);
    await time.run(untilMs);

    trace("all is healed");
    troubles.heal();
    await time.run(untilMs + ttlMs + CONVERGE_MS);
    for (const text of await unconverged(worldOf)) find("unconverged", `${(ttlMs + CONVERGE_MS) / 1000} s after the last heal ${text}`);
    await time.run(time.nowMs + 60_000);
    while ((await settled(ask((ops) => people.rest(ops)))) !== true) await time.run(time.nowMs + 1000);
    trace("all jobs are paused");
    const restsUntil = time.nowMs + LONGEST_REST_MS;
    let left = [""];
    while (left.length > 0 && time.nowMs < restsUntil) {
      await time.run(time.nowMs + 30_000);
      left = await unquiet(worldOf);
    }
    for (const text of left) find("unquiet", `${LONGEST_REST_MS / 60_000} min after all jobs were paused ${text}`);
  } catch (thrown) {
    find("fault", `the simulation ends: ${thrown instanceof Error ? thrown.stack : String(thrown)}`);
  } finally {
    for (const one of [...nodes, ...masters]) one.close();
  }
  const truth = truthOf(ledger, hosts);
  ledger.close();
  await kv.close();
  return {
    ...{
      seed: options.seed,
      fleetHours: time.nowMs / HOUR_MS,
      events: time.events,
      runs: truth.history.runs.length,
      troubles: troubles.spans.length,
    },
    ...{ digest: ledger.digest(), truth, faults, spans: troubles.spans, capacity },
  };
}

function errorText(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.message} ${value.stack?.split("\n").slice(1, 4).join(" ")}` : value;
}
