/** A simulated master: the real one without its HTTP server (views, session, election, the leader's services; master/src/leading.ts). */

import { toIso } from "fleetcron-shared/base/clock";
import { createIdSource } from "fleetcron-shared/base/ids";
import type { Log } from "fleetcron-shared/base/log";
import type { MemoryStore } from "fleetcron-shared/store/memory-kv";
import { openSession } from "fleetcron-shared/store/session";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Leader } from "../../packages/master/src/leader/leader.ts";
import { startLeading } from "../../packages/master/src/leading.ts";
import type { OpsDeps } from "../../packages/master/src/ops/ops-deps.ts";
import { createOrderLease } from "../../packages/master/src/ops/order-lease.ts";
import { createTimetable } from "../../packages/master/src/timetable.ts";
import { openViews } from "../../packages/master/src/views.ts";
import { openWay, type Way } from "./net.ts";
import { SimProcess } from "./process.ts";
import type { Dice } from "./random.ts";
import type { Sabotage } from "./sabotage.ts";
import type { VirtualTime } from "./virtual-time.ts";

export type MasterSettings = { readonly sessionTtlMs: number; readonly lostAfterMs: number };
type Deps = {
  readonly time: VirtualTime;
  readonly dice: Dice;
  readonly store: MemoryStore;
  readonly keys: Keys;
  readonly logOf: (name: string) => Log;
  readonly sabotage: Sabotage;
  readonly trace: (what: string) => void;
};

export class SimMaster {
  readonly id: string;
  way: Way | undefined;
  process: SimProcess | undefined;
  /** What intents are made with, as long as it is up. */
  ops: OpsDeps | undefined;
  readonly #deps: Deps;
  readonly #settings: MasterSettings;
  readonly #offsetMs: number;
  #leader: Leader | undefined;
  #lives = 0;
  #mayStart = true;

  constructor(deps: Deps, id: string, offsetMs: number, settings: MasterSettings) {
    this.#deps = deps;
    this.id = id;
    this.#offsetMs = offsetMs;
    this.#settings = settings;
  }

  get isLeading(): boolean {
    return this.#leader?.isLeading() === true;
  }

  start(): void {
    if (!this.#mayStart || this.process !== undefined) return;
    const { time, store, keys, sabotage } = this.#deps;
    const name = `${this.id}/${++this.#lives}`;
    const dice = this.#deps.dice.fork(name);
    const process = new SimProcess(time, name, () => this.#offsetMs);
    const way = openWay({ time, process, dice: dice.fork("way") }, sabotage.wrap(store.connect()));
    this.process = process;
    this.way = way;
    this.#deps.trace(`${name} starts`);
    const { clock } = process;
    const base = { kv: way, keys, clock, random: dice.fork("random"), log: this.#deps.logOf(name) };
    const views = openViews(base);
    const newId = createIdSource(base);
    const session = openSession(base, { ttlMs: this.#settings.sessionTtlMs });
    const unsimulated = () => Promise.reject(new Error("this is not simulated"));
    const ops: OpsDeps = {
      ...base,
      newId,
      views,
      timetable: createTimetable("UTC"),
      orderLease: createOrderLease(base),
      fileChecker: { check: unsimulated, close: async () => {} } as unknown as OpsDeps["fileChecker"],
      logStreams: { close: async () => {} } as unknown as OpsDeps["logStreams"],
      send: async () => ({ ok: true, text: "200 OK", tookMs: 5 }),
      passPoint: () => {},
    };
    void views.synced.then(
      () => {
        if (this.process !== process) return;
        this.ops = ops;
        const self = { v: 1, master: this.id, since: toIso(clock.now()), address: `http://${this.id}` } as const;
        const { lostAfterMs } = this.#settings;
        this.#leader = startLeading({ ...ops, session }, { lostAfterMs, auditRetentionMs: 90 * 86_400_000, timezone: "UTC" }, self);
      },
      () => {},
    );
  }

  /** SIGKILL, and started again after a while. */
  kill(againMs: number): void {
    this.process?.kill();
    this.process = undefined;
    this.way = undefined;
    this.ops = undefined;
    this.#leader = undefined;
    this.#deps.time.at(this.#deps.time.nowMs + againMs, () => this.start());
  }

  /** SIGTERM: leadership is given up. */
  stop(againMs: number): void {
    const { process } = this;
    const leader = this.#leader;
    if (process === undefined || leader === undefined) return this.kill(againMs);
    const end = () => {
      if (this.process === process) this.kill(againMs);
    };
    process.deliver(this.#deps.time.nowMs, () => void leader.stop().then(end, end));
    this.#deps.time.at(this.#deps.time.nowMs + 30_000, end);
  }

  close(): void {
    this.#mayStart = false;
    this.process?.kill();
  }
}
