/**
 * All sessions of one session host. Messages of one turn of the event loop leave together. Ends are kept until the agent says that they are in its journal: it may
 * die at any moment.
 */
import { openCapSweep } from "../logs/cap-sweep.ts";
import type { Libc } from "../spawner/libc.ts";
import { encodeLine, type FromSpawner, type RunId, type RunState, runId, type SessionStart } from "../spawner/protocol.ts";
import type { Host, Served } from "../spawner/serve.ts";
import { SessionRun, type SessionRunDeps } from "./session-run.ts";

type Deps = Served & Pick<SessionRunDeps, "clock" | "runnerOf"> & { readonly libc: Pick<Libc, "punchHole"> };

export function openSessionHost(deps: Deps): Host {
  const { clock, logbook, libc, warn } = deps;
  const runs = new Map<RunId, SessionRun>();
  const ends = new Map<RunId, RunState>();
  let replies = "";
  let send: ((text: string) => void) | undefined;
  const caps = openCapSweep({ punchHole: libc.punchHole, after: clock.after, warn });
  const runDeps: SessionRunDeps = { ...deps, caps, report };

  function report(message: FromSpawner): void {
    if (message.t === "ended") {
      logbook.ended(message.id, undefined, message.ended);
      ends.set(message.id, { ...runs.get(message.id)?.runState, id: message.id, ended: message.ended });
      runs.delete(message.id);
    }
    if (replies === "") clock.turn(flush);
    replies += encodeLine(message);
  }

  function flush(): void {
    logbook.flush();
    send?.(replies);
    replies = "";
    deps.onChanged();
  }

  /** Nothing when it is here already: an agent that came in the middle may ask again for what the one before had asked. */
  function begin(spec: SessionStart, before?: RunState): void {
    if (runs.has(runId(spec))) return;
    const run = new SessionRun(runDeps, spec);
    runs.set(run.id, run);
    logbook.begins(run.id);
    run.start(before);
  }

  return {
    receive(message) {
      switch (message.t) {
        case "open":
          return begin(message.spec);
        case "reopen":
          return begin(message.spec, message.state);
        case "kill":
          return runs.get(message.id)?.end({ type: "killed", by: message.by, reason: message.reason });
        case "extend":
          return runs.get(message.id)?.extend(message.deadlineMono, { byName: true });
        case "extendAll":
          for (const run of runs.values()) run.extend(message.deadlineMono, { byName: false });
          return;
        case "killAll":
          for (const run of [...runs.values()]) run.end({ type: "killed", by: message.by, reason: message.reason }, message.maxGraceMs);
          return;
        case "ack":
          for (const id of message.ids) ends.delete(id);
          if (ends.size === 0 && runs.size === 0) logbook.trim();
          return deps.onChanged();
        case "start":
        case "adopt":
        case "retire":
          return;
      }
    },
    connect(to) {
      if (to !== undefined) for (const run of runs.values()) run.hold();
      send = to;
      replies = "";
      return [...ends.values(), ...[...runs.values()].map((run) => run.runState)];
    },
    get running() {
      return runs.size;
    },
    get unnoted() {
      return ends.size;
    },
  };
}
