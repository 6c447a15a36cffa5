/**
 * The children of one `up`: started in groups, watched, started again after a growing pause, ended in the reverse order. A child that ends
 * before all is ready, or one that is not to be started again, ends the whole run with an error that quotes its log.
 */
import { relative } from "node:path";
import { backoffMs } from "fleetcron-shared/base/backoff";
import type { ErrorCode } from "fleetcron-shared/base/error-table";
import { AppError } from "fleetcron-shared/base/errors";
import type { Cleanup } from "fleetcron-shared/base/service";
import { type Child, type ChildSpec, type Ended, endText, lastWords, parentDeathCommand, startChild } from "./child.ts";
import type { Context } from "./context.ts";

const READY_MS = 60_000;
const POLL_MS = 50;
/** More than an agent gives its executions (10 s). */
const STOP_GRACE_MS = 15_000;
const RESTART = { firstMs: 1000, maxMs: 30_000 };
/** A child that lived this long starts with a short pause again. */
const STEADY_MS = 60_000;

/** Thrown to leave the start when Ctrl-C comes during it. */
export const INTERRUPTED = new Error("interrupted");

/** The children of one `up`, and what ends it. `note` is told each child's pid. */
export function createRun(context: Context, cleanup: Cleanup, note: (pid: number | undefined) => void) {
  const { io, clock } = context;
  const wrapper = parentDeathCommand();
  const stopping = new AbortController();
  const end = Promise.withResolvers<void>();
  // Looked at by `until` and at the very end; a rejection in between is no unhandled one.
  end.promise.catch(() => {});
  const living = new Set<Child>();
  let isReady = false;
  let firstSignalAt: number | undefined;
  const ignore = io.onSignal(["SIGINT", "SIGTERM", "SIGHUP"], () => {
    const now = clock.mono();
    // A launcher may pass on the very signal that the terminal sent as well: that is not a second one.
    if (firstSignalAt !== undefined && now - firstSignalAt > 500) for (const child of living) child.kill();
    firstSignalAt ??= now;
    stopping.abort();
    end.resolve();
  });
  cleanup.add(ignore);

  function launch(spec: ChildSpec): Child {
    const child = startChild({ clock }, spec, wrapper);
    living.add(child);
    note(child.pid);
    void child.ended.then(() => living.delete(child));
    return child;
  }

  async function keep(spec: ChildSpec, again: "once" | "always", first: Child): Promise<void> {
    let child = first;
    for (let failures = 1; ; failures++) {
      const startedAt = clock.mono();
      const ended = await child.ended;
      if (stopping.signal.aborted) return;
      if (!isReady || again === "once") return end.reject(childError(spec, ended, isReady));
      if (clock.mono() - startedAt > STEADY_MS) failures = 1;
      const pauseMs = backoffMs(context, RESTART, failures);
      io.err(
        `${spec.name} ended (${endText(ended)}); it is started again in ${(pauseMs / 1000).toFixed(1)} s; its log: ${nearPath(io.cwd, spec.logFile)}\n`,
      );
      await clock.sleep(pauseMs, stopping.signal);
      if (stopping.signal.aborted) return;
      child = launch(spec);
    }
  }

  return {
    end: end.promise,
    ready() {
      isReady = true;
    },
    /** Starts children that are stopped together; those started later are stopped first. */
    start(specs: readonly ChildSpec[], again: "once" | "always") {
      const loops = specs.map((spec) => keep(spec, again, launch(spec)));
      cleanup.add(async () => {
        stopping.abort();
        const own = [...living].filter((child) => specs.includes(child.spec));
        await Promise.all(own.map((child) => child.stop(STOP_GRACE_MS)));
        await Promise.all(loops);
      });
    },
    /** Asks until it is so; a failing question counts as no. Ends early by a child's end or Ctrl-C. */
    async until(what: string, isSo: () => Promise<boolean>) {
      const deadline = clock.mono() + READY_MS;
      const ended = end.promise.then(() => {
        throw INTERRUPTED;
      });
      for (;;) {
        if (await Promise.race([isSo().catch(() => false), ended])) return;
        if (clock.mono() > deadline)
          throw new AppError("wait/timeout", `not within ${READY_MS / 1000} s: ${what}`, { hint: "the logs in the data folder tell more" });
        await Promise.race([clock.sleep(POLL_MS), ended]);
      }
    },
  };
}

const CODE_OF_EXIT: Readonly<Record<number, ErrorCode>> = { 2: "config/invalid", 4: "cluster/mismatch", 5: "auth/denied" };

function childError(spec: ChildSpec, ended: Ended, wasReady: boolean): AppError {
  const code = wasReady ? undefined : CODE_OF_EXIT[ended.code ?? -1];
  return new AppError(
    code ?? "up/child-ended",
    `${spec.name} ended${wasReady ? "" : " at its start"} (${endText(ended)}): ${lastWords(spec.logFile)}`,
    {
      hint: `its log is ${spec.logFile}`,
    },
  );
}

/** Relative to the working folder where that is shorter. */
export function nearPath(cwd: string, path: string): string {
  const near = relative(cwd, path);
  return near === "" ? "." : near.startsWith("..") ? path : near;
}
