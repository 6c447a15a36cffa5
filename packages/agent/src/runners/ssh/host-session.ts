/**
 * One command on one host. A cut connection is no end: it is connected to again, and the output goes on from where it stopped.
 *
 *     connecting ──> following <──> reconnecting
 *         └──────────────┴──────────────┴──> ended
 *
 * Once the program is on its way (`begun`) it is never started again: the session's folder on the host says whether it ran.
 */
import { backoffMs } from "fleetcron-shared/base/backoff";
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Random } from "fleetcron-shared/base/random";
import type { Outcome } from "fleetcron-shared/model/record";
import { outcomeOfFailure, SshError, unreachable } from "fleetcron-shared/ssh/failure";
import { exchange, type Told } from "./exchange.ts";
import { exitOf } from "./exit-text.ts";
import type { Place, SshPool } from "./pool.ts";
import { bootstrap, goOnProgram, killProgram, removeProgram, startProgram, type WrappedCommand, type WrapperContext } from "./wrapper.ts";

/** After a KILL it is over for us within this time, whether the host could be told or not. */
const KILL_WITHIN_MS = 4500;
const BACKOFF = { firstMs: 200, maxMs: 5000 };

export type HostSessionDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly pool: SshPool;
  readonly warn: (message: string) => void;
  /** The next byte after this belongs to a run that exists: told before anything is sent. */
  readonly begun: () => void;
  readonly pid: (pid: number) => void;
  readonly output: (bytes: Buffer) => Promise<void>;
};

export type HostSessionSpec = {
  /** As in the job. */
  readonly host: string;
  readonly place: Place;
  readonly context: Omit<WrapperContext, "nonce">;
  readonly command: WrappedCommand;
  /** Set: it was begun before; so many bytes of its output are written already. */
  readonly goOnFrom: number | undefined;
  /** How long a connection that was cut is tried to be made again. */
  readonly reconnectMs: number;
};

export type HostResult = {
  readonly outcome: Outcome;
  readonly result?: Buffer;
  readonly errors?: Buffer;
};

export type HostSession = {
  /** Never rejects. */
  readonly done: Promise<HostResult>;
  kill(how: "TERM" | "KILL"): void;
  /** How many bytes of the output have been written. */
  readonly offset: number;
  /** Removes the session's folder from the host; when its end is on record. Never rejects. */
  forget(): Promise<void>;
};

type Heard = {
  begun: boolean;
  none: boolean;
  refused: boolean;
  cannot?: string;
  gone?: "session" | "reboot";
  end?: Extract<Told, { type: "end" }>;
  parts: Record<string, Buffer>;
};

export function runHostSession(deps: HostSessionDeps, spec: HostSessionSpec): HostSession {
  const giveUp = new AbortController();
  const settled = Promise.withResolvers<HostResult>();
  let offset = spec.goOnFrom ?? 0;
  let isBegun = spec.goOnFrom !== undefined;
  let wasSeen = false;
  let isBarred = false;
  let isOver = false;
  let wanted: "TERM" | "KILL" | undefined;
  let isKilling = false;
  /** Since when nothing was heard of the session. */
  let cutAt: MonoMs | undefined;

  const context = (): WrapperContext => ({ ...spec.context, nonce: Buffer.from(deps.random.bytes(8)).toString("hex") });

  /** One program on the host, from connecting to the end of its channel. Throws SshError when it could not be brought there. */
  async function talk(
    program: (context: WrapperContext) => string,
    told: (told: Told) => void,
    options: { urgent?: boolean; before?: () => void } = {},
  ) {
    const mine = context();
    const { urgent = false } = options;
    const leased = await deps.pool.open(spec.place, bootstrap(spec.context.shell), { signal: giveUp.signal, urgent });
    if (giveUp.signal.aborted) {
      leased.channel.close();
      throw unreachable("closed", `${spec.host}: the session was given up`);
    }
    let isCut = false;
    void leased.closed.then(() => {
      isCut = true;
    });
    options.before?.();
    const output = async (bytes: Buffer) => {
      // After its end nobody may write to the log any more.
      if (isOver) return;
      await deps.output(bytes);
      offset += bytes.length;
    };
    const { noise } = await exchange({ output, told }, leased, mine.nonce, program(mine));
    // The connection's end is told right after its channels'.
    await Promise.resolve();
    return { noise, isCut: () => isCut };
  }

  async function follow(): Promise<HostResult | "cut"> {
    const got: Heard = { begun: false, none: false, refused: false, parts: {} };
    const isStart = !isBegun;
    const before = () => {
      if (!isStart) return;
      isBegun = true;
      deps.begun();
    };
    const { noise, isCut } = await talk(
      (mine) => (isStart ? startProgram(mine, spec.command) : goOnProgram(mine, offset)),
      (told) => {
        take(got, told);
        if (told.type === "begun") {
          wasSeen = true;
          cutAt = undefined;
          if (wanted !== undefined) deliverKill();
        }
        if (told.type === "pid") deps.pid(told.pid);
      },
      { before },
    );
    if (got.cannot !== undefined) return { outcome: { type: "failed", code: "ssh/remoteDir", error: `${spec.host}: ${got.cannot}` } };
    if (got.none) return { outcome: notThere() };
    if (got.gone !== undefined) return { outcome: { type: "lost", why: got.gone } };
    if (got.end !== undefined && offset >= got.end.size) return resultOf(got.end, got);
    if (got.end !== undefined || got.begun || isCut()) return "cut";
    const said = noise === "" ? "it said nothing" : `it said ${JSON.stringify(noise.slice(0, 300))}`;
    if (isStart) return { outcome: { type: "failed", code: "ssh/noShell", error: `${spec.host}: no POSIX shell answered; ${said}` } };
    return "cut";
  }

  /** The folder is not there; what stands in its place now stays, so that a start that is still on its way cannot begin. */
  function notThere(): Outcome {
    isBarred = true;
    if (spec.goOnFrom !== undefined || wasSeen) return { type: "lost", why: "session" };
    return { type: "failed", code: "ssh/connectionLost", error: `${spec.host}: the connection was lost before the command began` };
  }

  function resultOf(end: Extract<Told, { type: "end" }>, got: Heard): HostResult {
    const outcome: Outcome = end.byDeadline
      ? { type: "timeout", afterMs: spec.command.timeoutMs ?? 0 }
      : got.refused
        ? { type: "spawnFailed", error: `${spec.host}: cannot change to the folder ${spec.command.spec.cwd ?? "of the user"}` }
        : exitOf(end.first, end.second, end.text);
    const { result, err } = got.parts;
    return { outcome, ...(result === undefined ? {} : { result }), ...(err === undefined ? {} : { errors: err }) };
  }

  async function run(): Promise<HostResult> {
    let tries = 0;
    for (;;) {
      const offsetBefore = offset;
      let why: string;
      try {
        const end = await follow();
        if (end !== "cut") return end;
        why = "the connection was cut";
      } catch (error) {
        if (!(error instanceof SshError)) return lost(asError(error).message);
        if (!isBegun) return { outcome: wanted === undefined ? outcomeOfFailure(error.failure) : { type: "signal", name: `SIG${wanted}` } };
        why = error.message;
        // Whoever answers there now is not to be told anything.
        if (error.failure.type === "failed" && error.failure.code === "ssh/hostKeyChanged") return lost(why);
      }
      cutAt ??= deps.clock.mono();
      tries = offset > offsetBefore ? 1 : tries + 1;
      const wait = backoffMs(deps, BACKOFF, tries);
      if (giveUp.signal.aborted || deps.clock.mono() + wait - cutAt > spec.reconnectMs) return lost(why);
      await deps.clock.sleep(wait, giveUp.signal);
    }
  }

  function lost(why: string): HostResult {
    deps.warn(`${spec.host}: the session was lost and cannot be found again (${why}); its command may still run there until its deadline`);
    return { outcome: { type: "lost", why: "session" } };
  }

  function deliverKill(): void {
    if (isKilling || isOver || wanted === undefined) return;
    const how = wanted;
    isKilling = true;
    void talk((mine) => killProgram(mine, how), ignore, { urgent: true })
      .catch(() => {})
      .finally(() => {
        isKilling = false;
        if (wanted !== how) deliverKill();
      });
  }

  void run().then((result) => {
    isOver = true;
    settled.resolve(result);
  });

  return {
    done: settled.promise,
    get offset() {
      return offset;
    },
    kill(how) {
      if (isOver || wanted === "KILL" || wanted === how) return;
      wanted = how;
      if (!isBegun) return giveUp.abort();
      deliverKill();
      if (how !== "KILL") return;
      const cancel = deps.clock.after(KILL_WITHIN_MS, () => {
        if (isOver) return;
        isOver = true;
        settled.resolve(lost("it did not answer to the kill"));
        giveUp.abort();
      });
      void settled.promise.then(cancel);
    },
    async forget() {
      if (!isBegun || isBarred) return;
      await talk(removeProgram, ignore).catch(() => {});
    },
  };
}

function take(got: Heard, told: Told): void {
  if (told.type === "begun" || told.type === "none" || told.type === "refused") got[told.type] = true;
  if (told.type === "cannot") got.cannot = told.why;
  if (told.type === "gone") got.gone = told.why;
  if (told.type === "end") got.end = told;
  if (told.type === "result" || told.type === "err") got.parts[told.type] = told.bytes;
}

function ignore(): void {}
