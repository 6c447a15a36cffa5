/** The agent of a simulated host: the real one (agent/src/agent.ts), started again by a service manager whenever it ends. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { MemoryStore } from "fleetcron-shared/store/memory-kv";
import { type Agent, startAgent } from "../../packages/agent/src/agent.ts";
import type { HostParts } from "../../packages/agent/src/host-parts.ts";
import { Journal } from "../../packages/agent/src/run/journal.ts";
import type { KillPoint } from "../../packages/agent/src/spawner/kill-points.ts";
import type { SimHost } from "./host.ts";
import { openWay, type Way } from "./net.ts";
import { SimProcess } from "./process.ts";
import type { Dice } from "./random.ts";
import type { Sabotage } from "./sabotage.ts";
import { openSimSupervisor } from "./supervisor.ts";
import type { VirtualTime } from "./virtual-time.ts";

export type NodeSettings = { readonly prefix: string; readonly sessionTtlMs: number; readonly capacity: number; readonly dataDir: string };
export type NodeDeps = {
  readonly time: VirtualTime;
  readonly dice: Dice;
  readonly store: MemoryStore;
  readonly logOf: (name: string) => Log;
  readonly sabotage: Sabotage;
  readonly trace: (what: string) => void;
};

export class SimNode {
  readonly host: SimHost;
  way: Way | undefined;
  process: SimProcess | undefined;
  /** It dies when it passes this point next. */
  killAt: KillPoint | undefined;
  readonly #deps: NodeDeps;
  readonly #settings: NodeSettings;
  #agent: Agent | undefined;
  #lives = 0;
  #mayStart = true;

  constructor(deps: NodeDeps, host: SimHost, settings: NodeSettings) {
    this.#deps = deps;
    this.host = host;
    this.#settings = settings;
  }

  get isUp(): boolean {
    return this.#agent !== undefined;
  }

  /** As a service manager does it: again after a while, whenever it ends. */
  start(): void {
    if (!this.#mayStart || this.process !== undefined) return;
    const { time, store, trace } = this.#deps;
    const name = `${this.host.id}/${++this.#lives}`;
    const dice = this.#deps.dice.fork(name);
    const process = new SimProcess(time, name, () => this.host.offsetMs);
    const way = openWay({ time, process, dice: dice.fork("way") }, this.#deps.sabotage.wrap(store.connect()));
    this.process = process;
    this.way = way;
    trace(`${name} starts`);
    const deps = {
      ...{ kv: way, clock: process.clock, random: dice.fork("random"), version: "1.0.0", env: {} },
      log: this.#deps.logOf(name),
      own: { pid: this.#lives, uid: 1000, gid: 1000 },
      passPoint: (point: KillPoint) => {
        if (this.killAt !== point || this.process !== process) return;
        this.killAt = undefined;
        trace(`${name} dies at ${point}`);
        this.kill(dice.int(500, 20_000));
      },
      parts: this.#parts(process, dice),
    };
    startAgent(deps, this.#config()).then(
      (agent) => {
        if (this.process !== process) return;
        trace(`${name} is ready`);
        this.#agent = agent;
        agent.failed.catch((thrown: unknown) => this.#failed(process, thrown));
      },
      (thrown: unknown) => this.#failed(process, thrown),
    );
  }

  /** SIGKILL, and started again after a while. */
  kill(againMs: number): void {
    const { process } = this;
    if (process === undefined) return this.#startIn(againMs);
    process.kill();
    this.#forget();
    this.#startIn(againMs);
  }

  /** SIGTERM, as for an upgrade; killed when it takes too long. */
  stop(againMs: number): void {
    const { process } = this;
    const agent = this.#agent;
    if (process === undefined || agent === undefined) return this.kill(againMs);
    this.#agent = undefined;
    const end = () => {
      if (this.process === process) this.kill(againMs);
    };
    process.deliver(this.#deps.time.nowMs, () => void agent.stop().then(end, end));
    this.#deps.time.at(this.#deps.time.nowMs + 60_000, end);
  }

  #failed(process: SimProcess, thrown: unknown): void {
    if (this.process !== process || !process.isAlive) return;
    this.#deps.trace(`${process.name} ends: ${asError(thrown).message}`);
    this.kill(this.#deps.dice.int(1000, 5000));
  }

  #startIn(ms: number): void {
    this.#deps.time.at(this.#deps.time.nowMs + ms, () => this.start());
  }

  #forget(): void {
    this.process = undefined;
    this.way = undefined;
    this.#agent = undefined;
    this.killAt = undefined;
  }

  #parts(process: SimProcess, dice: Dice): HostParts {
    const { host } = this;
    return {
      readHost: () => ({ hostname: host.id, addresses: [], bootId: host.bootId, labels: { "fleetcron.io/hostname": host.id } }),
      openJournal: ({ clock }) => new Journal(host.journal.open(process), (ms, fn) => void clock.after(ms, fn)),
      openSupervisor: async () => openSimSupervisor({ time: this.#deps.time, process, dice: dice.fork("spawner"), host }),
      openUsers: () => ({ user: async () => undefined, gid: async () => undefined }),
      keepLogsSmall: () => () => {},
    };
  }

  #config() {
    const { prefix, sessionTtlMs, capacity, dataDir } = this.#settings;
    return {
      ...{
        prefix,
        sessionTtlMs,
        capacity,
        dataDir,
        nodeId: this.host.id,
        labels: {},
        procThresholdMs: 500,
        logRetentionMs: 0,
        logBytes: 0,
      },
      ...({
        logBytesPerSecond: 1024,
        minFreeBytes: 0,
        cgroup: "off",
        stopExecutions: false,
        policyFile: undefined,
        metrics: undefined,
      } as const),
    };
  }

  /** The world ends. */
  close(): void {
    this.#mayStart = false;
    this.process?.kill();
    this.#forget();
    this.host.journal.close();
    rmSync(join(this.#settings.dataDir, "exec"), { recursive: true, force: true });
  }
}
