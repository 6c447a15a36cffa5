/**
 * One spawner as the agent sees it: its socket, what it said when the agent connected, and a handle per run. When the spawner dies, its handles go to whoever
 * opened the link: no handle stays open for ever. Nothing here needs etcd.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Clock } from "fleetcron-shared/base/clock";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { CgroupUse } from "../spawner/cgroups.ts";
import {
  createLineDecoder,
  type Ended,
  encodeLine,
  type FromSpawner,
  type RunId,
  type RunKind,
  type RunState,
  type ToSpawner,
} from "../spawner/protocol.ts";
import { socketAddress } from "../spawner/socket-address.ts";
import type { RunEntry } from "./run-entry.ts";

/** A young generation and a pool of threads that fit a process which only passes messages on. */
const NODE_FLAGS = { processes: ["--max-semi-space-size=1", "--v8-pool-size=0"], sessions: [] } as const;

export class SpawnerLink {
  readonly version: string;
  readonly protocol: number;
  readonly kind: RunKind;
  /** What it knew when the agent connected and no handle has been made for yet. */
  readonly known: Map<RunId, RunState>;
  readonly name: string;
  readonly entries = new Map<RunId, RunEntry>();
  /** The spawner is gone; `entries` holds what it had. */
  onGone: () => void = () => {};
  readonly #socket: Socket;
  #outgoing = "";
  #isOpen = true;

  constructor(name: string, socket: Socket, hello: FromSpawner & { t: "hello" }) {
    this.name = name;
    this.#socket = socket;
    this.version = hello.version;
    this.protocol = hello.protocol;
    this.kind = hello.kind ?? "processes";
    this.known = new Map(hello.runs.map((run) => [run.id, run]));
  }

  start(entry: RunEntry): void {
    this.#take(entry);
    const { spec } = entry;
    if ("session" in spec) this.send({ t: "open", spec });
    else if ("argv" in spec) this.send({ t: "start", spec });
  }

  /** Goes on with a run that the spawner has told of, or that a dead spawner left. */
  resume(entry: RunEntry, state: RunState): void {
    this.#take(entry);
    entry.before = state;
    if (state.started !== undefined) entry.begin(state.started);
    const isOurs = this.known.delete(entry.id);
    if (!isOurs && state.ended === undefined) {
      const { spec } = entry;
      if ("session" in spec) this.send({ t: "reopen", spec, state });
      else if (state.started !== undefined) this.send({ t: "adopt", spec, started: state.started });
      entry.takenOver();
    }
    if (state.ended !== undefined) this.#end(entry, state.ended);
  }

  /** What is sent in one turn leaves in one write. */
  send(message: ToSpawner): void {
    if (this.#outgoing === "") process.nextTick(() => this.#flush());
    this.#outgoing += encodeLine(message);
  }

  /** Lets go of the spawner: it stays while something runs in it. */
  async close(): Promise<void> {
    this.onGone = () => {};
    this.#flush();
    await new Promise<void>((resolve) => this.#socket.end(resolve));
    this.#socket.destroy();
  }

  receive(message: FromSpawner): void {
    if (message.t === "hello") return;
    const entry = this.entries.get(message.id);
    if (entry === undefined) this.#remember(message);
    else {
      if (message.started !== undefined) entry.begin(message.started);
      if (message.t === "ended") this.#end(entry, message.ended);
    }
  }

  gone(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.onGone();
  }

  #take(entry: RunEntry): void {
    entry.link = this;
    this.entries.set(entry.id, entry);
  }

  #remember(message: Exclude<FromSpawner, { t: "hello" }>): void {
    const { id, started } = message;
    const state = { id, ...this.known.get(id), ...(started === undefined ? {} : { started }) };
    this.known.set(id, message.t === "ended" ? { ...state, ended: message.ended } : state);
  }

  #end(entry: RunEntry, ended: Ended): void {
    this.entries.delete(entry.id);
    entry.end(ended);
  }

  #flush(): void {
    if (this.#outgoing !== "" && this.#socket.writable) this.#socket.write(this.#outgoing);
    this.#outgoing = "";
  }
}

const ANSWER_WITHIN_MS = 5000;

/** Connects to the spawner behind `<folder>/<name>.sock`; undefined when there is none any more, or it does not answer. */
export async function connectSpawner(
  deps: { clock: Pick<Clock, "after"> },
  folder: string,
  name: string,
): Promise<SpawnerLink | undefined> {
  const address = socketAddress(folder, `${name}.sock`);
  const socket = connect(address.path);
  const decode = createLineDecoder<FromSpawner>();
  let link: SpawnerLink | undefined;
  // One that is stopped takes the connection and never answers.
  const giveUp = deps.clock.after(ANSWER_WITHIN_MS, () => socket.destroy());
  try {
    return await new Promise<SpawnerLink | undefined>((resolve) => {
      socket.setEncoding("utf8");
      socket.on("data", (text: string) => {
        for (const message of decode(text)) {
          if (message.t === "hello") {
            link = new SpawnerLink(name, socket, message);
            resolve(link);
          } else link?.receive(message);
        }
      });
      const gone = () => {
        resolve(undefined);
        link?.gone();
      };
      socket.on("error", gone);
      socket.on("close", gone);
    });
  } finally {
    giveUp();
    address.close();
  }
}

export type SpawnerOptions = {
  /** The folder of the sockets and logbooks. */
  readonly folder: string;
  readonly version: string;
  /** Whether processes get cgroups of their own where the host has them. */
  readonly cgroup?: CgroupUse;
  /** The spawner's own environment (never that of the processes); absent = the agent's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
};

/** Starts a spawner that outlives this process, and connects to it. Throws when it cannot be started. */
export async function startSpawner(
  deps: { clock: Pick<Clock, "after"> },
  options: SpawnerOptions,
  kind: RunKind,
  name: string,
): Promise<SpawnerLink> {
  const main = fileURLToPath(
    new URL(`../${kind === "processes" ? "spawner" : "runners"}/main${extname(import.meta.url)}`, import.meta.url),
  );
  const errors = openSync(join(options.folder, "spawner.log"), "a", 0o640);
  // Its own session: a terminal's or a service manager's signals to the agent's group do not reach it.
  const child = spawn(
    process.execPath,
    [...NODE_FLAGS[kind], "--disable-warning=ExperimentalWarning", main, options.folder, name, options.version, options.cgroup ?? "auto"],
    {
      cwd: "/",
      detached: true,
      stdio: ["ignore", "pipe", errors],
      ...(options.env === undefined ? {} : { env: options.env }),
    },
  );
  closeSync(errors);
  try {
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) =>
        reject(new Error(`it ended with ${signal ?? code} (see ${join(options.folder, "spawner.log")})`)),
      );
      child.stdout?.once("data", () => resolve());
    });
  } catch (thrown) {
    throw new AppError("internal/bug", `the agent's spawner cannot be started: ${asError(thrown).message}`, { cause: thrown });
  }
  child.removeAllListeners("exit");
  child.stdout?.destroy();
  child.unref();
  const link = await connectSpawner(deps, options.folder, name);
  if (link === undefined) throw new AppError("internal/bug", "the agent's spawner was started and cannot be reached");
  return link;
}
