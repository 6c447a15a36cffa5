/** What the agent holds of a run that was handed to a spawner or a session host. Nothing here needs etcd. */
import type { MonoMs } from "fleetcron-shared/base/clock";
import {
  type Ended,
  type RunId,
  type RunKind,
  type RunState,
  runId,
  type SessionStart,
  type Started,
  type StartSpec,
  type WatchSpec,
} from "../spawner/protocol.ts";
import type { SpawnerLink } from "./spawner-link.ts";

/** A run that was handed to a spawner. Both promises always resolve. */
export type Running = {
  /** Undefined when nothing was started. */
  readonly started: Promise<Started | undefined>;
  /** At the main process's end; a forced end waits for the whole tree. */
  readonly ended: Promise<Ended>;
  kill(by: string, reason: string): void;
  /** Moves the deadline, for a run that was started with one. */
  extend(deadlineMono: MonoMs): void;
};

/** What a spawner needs to start a run, or to watch over one. */
export type RunSpec = WatchSpec | StartSpec | SessionStart;

export function kindOf(spec: RunSpec): RunKind {
  return "session" in spec ? "sessions" : "processes";
}

/** What the agent holds of a run; it may move from a dead spawner to the next. */
export class RunEntry implements Running {
  readonly id: RunId;
  readonly #spec: RunSpec;
  readonly started: Promise<Started | undefined>;
  readonly ended: Promise<Ended>;
  readonly #settleStarted: (started: Started | undefined) => void;
  readonly #settleEnded: (ended: Ended) => void;
  link: SpawnerLink | undefined;
  /** As it was when a spawner took it over, which may die before it has noted that. */
  before: RunState | undefined;
  /** How often it was handed to a spawner that died before it took it. */
  starts = 0;
  /** As it was moved last, for a spawner that has to take over. */
  #deadline: MonoMs | undefined;
  /** Of a run that an earlier agent process has started, the deadline is not ours to move until it is moved by name. */
  #isOurs: boolean;

  /** Started by this agent process, not by an earlier one. */
  readonly isNew: boolean;

  constructor(spec: RunSpec, options: { isNew: boolean }) {
    this.id = runId(spec);
    this.#spec = spec;
    this.#deadline = spec.deadlineMono;
    this.isNew = options.isNew;
    this.#isOurs = options.isNew;
    const started = Promise.withResolvers<Started | undefined>();
    const ended = Promise.withResolvers<Ended>();
    this.started = started.promise;
    this.ended = ended.promise;
    this.#settleStarted = started.resolve;
    this.#settleEnded = ended.resolve;
  }

  /** With the deadline of now. */
  get spec(): RunSpec {
    return this.#deadline === undefined ? this.#spec : { ...this.#spec, deadlineMono: this.#deadline };
  }

  begin(started: Started): void {
    this.#settleStarted(started);
  }

  end(ended: Ended): void {
    this.#settleStarted(undefined);
    this.#settleEnded(ended);
  }

  kill(by: string, reason: string): void {
    this.link?.send({ t: "kill", id: this.id, by, reason });
  }

  extend(deadlineMono: MonoMs): void {
    this.#deadline = deadlineMono;
    this.#isOurs = true;
    this.link?.send({ t: "extend", id: this.id, deadlineMono });
  }

  /** The spawner has been told to move the deadline of all. */
  extendedWithAll(deadlineMono: MonoMs): void {
    if (this.#isOurs && this.#deadline !== undefined) this.#deadline = deadlineMono;
  }

  /** A spawner that takes over holds each deadline until it is moved by name. */
  takenOver(): void {
    if (this.#isOurs && this.#deadline !== undefined) this.extend(this.#deadline);
  }
}
