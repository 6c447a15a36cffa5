/**
 * One run of the session host, from request to end. What ended it by force (spawner/lifespan.ts) is its outcome, whatever the other end then says. A runner that
 * does not come back after KILL is given up: no run stays open for ever.
 */
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Outcome } from "fleetcron-shared/model/record";
import type { CapSweep } from "../logs/cap-sweep.ts";
import { Lifespan } from "../spawner/lifespan.ts";
import type { Logbook } from "../spawner/logbook.ts";
import { type FromSpawner, type RunId, type RunState, runId, type SessionStart } from "../spawner/protocol.ts";
import { type LogFile, openLogFile } from "./log-file.ts";
import { readTail } from "./output-tail.ts";
import type { Runner, Session, SessionDeps, SessionEnd, SessionSpec } from "./runner.ts";

/** A runner has this long after KILL. */
const GIVE_UP_AFTER_MS = 6000;

export type SessionRunDeps = {
  readonly clock: Clock;
  readonly logbook: Logbook;
  readonly caps: CapSweep;
  /** Loads the runner when it is used first. */
  readonly runnerOf: (name: SessionSpec["runner"]) => Promise<Runner>;
  readonly report: (message: FromSpawner) => void;
  readonly warn: (message: string) => void;
};

export class SessionRun {
  readonly id: RunId;
  readonly #deps: SessionRunDeps;
  readonly #spec: SessionStart;
  readonly #lifespan: Lifespan;
  readonly #log: LogFile;
  readonly #errors: LogFile;
  #state: RunState;
  #startedMono: MonoMs = 0;
  #session: Session | undefined;

  constructor(deps: SessionRunDeps, spec: SessionStart) {
    this.#deps = deps;
    this.#spec = spec;
    this.id = runId(spec);
    this.#state = { id: this.id };
    this.#lifespan = new Lifespan(deps.clock, spec, { term: () => this.#session?.kill("TERM"), kill: () => this.#kill() });
    this.#log = openLogFile(spec.logPath, deps.warn);
    this.#errors = spec.stderrPath === undefined ? this.#log : openLogFile(spec.stderrPath, deps.warn);
  }

  get runState(): RunState {
    return this.#state;
  }

  /** Begins, or with `before` goes on with what another session host had begun. */
  start(before?: RunState): void {
    const { clock, logbook, caps, report } = this.#deps;
    if (before === undefined && this.#lifespan.isTooLate) return void this.#finish({ outcome: { type: "lockLost" } });
    if (before !== undefined) this.#lifespan.hold();
    const startedAtMs = before?.started?.startedAtMs ?? clock.now();
    this.#startedMono = clock.mono() - Math.max(0, clock.now() - startedAtMs);
    const started = { pid: 0, startTicks: 0, startedAtMs };
    this.#state = { ...before, id: this.id, started };
    logbook.started(this.id, started);
    if (before?.trace !== undefined) logbook.traced(this.id, before.trace);
    if (this.#spec.logMaxBytes !== undefined) caps.add(this.#spec.logPath, this.#spec.logMaxBytes);
    report({ t: "started", id: this.id, started });
    this.#lifespan.begin(this.#startedMono);
    void this.#see(before);
  }

  end(cause: Outcome, maxGraceMs?: number): void {
    this.#lifespan.end(cause, maxGraceMs);
  }

  extend(deadline: MonoMs, options: { byName: boolean }): void {
    this.#lifespan.extend(deadline, options);
  }

  hold(): void {
    this.#lifespan.hold();
  }

  async #see(before: RunState | undefined): Promise<void> {
    const { session: spec } = this.#spec;
    try {
      const runner = await this.#deps.runnerOf(spec.runner);
      const { cause } = this.#lifespan;
      // Ended before it began; what another host had begun must still be ended at the other end.
      if (cause !== undefined && before === undefined) return await this.#finish({ outcome: cause });
      const deps = this.#sessionDeps();
      this.#session = before === undefined ? runner.start(spec, deps) : runner.recover(this.#asWritten(spec), before.trace, deps);
      if (this.#lifespan.state === "ending") this.#session.kill("TERM");
      if (this.#lifespan.state === "killed") this.#session.kill("KILL");
      await this.#finish(await this.#session.done);
    } catch (thrown) {
      await this.#finish({ outcome: { type: "spawnFailed", error: `fault in the ${spec.runner} runner: ${asError(thrown).message}` } });
    }
  }

  #asWritten(spec: SessionSpec): SessionSpec {
    return { ...spec, written: readTail(this.#spec.logPath, 0).totalBytes };
  }

  #sessionDeps(): SessionDeps {
    const { clock, logbook, warn } = this.#deps;
    return {
      clock,
      write: this.#log.write,
      writeError: this.#errors.write,
      begun: (trace) => {
        this.#state = { ...this.#state, trace };
        logbook.traced(this.id, trace);
      },
      warn,
    };
  }

  #kill(): void {
    this.#session?.kill("KILL");
    this.#deps.clock.after(GIVE_UP_AFTER_MS, () => {
      if (this.#lifespan.state === "ended") return;
      this.#deps.warn(`the ${this.#spec.session.runner} session of run ${this.id} does not end although it was killed`);
      void this.#finish({ outcome: this.#lifespan.cause ?? { type: "lost", why: "session" } });
    });
  }

  async #finish(end: SessionEnd): Promise<void> {
    if (this.#lifespan.state === "ended") return;
    const outcome = this.#lifespan.cause ?? end.outcome;
    this.#lifespan.finish();
    const { clock, caps, report } = this.#deps;
    caps.remove(this.#spec.logPath);
    const durationMs = this.#state.started === undefined ? 0 : Math.round(clock.mono() - this.#startedMono);
    const endedAtMs = clock.now();
    await Promise.all([this.#log.close(), this.#errors.close()]);
    report({ t: "ended", id: this.id, ended: { ...end, outcome, endedAtMs, durationMs } });
  }
}
