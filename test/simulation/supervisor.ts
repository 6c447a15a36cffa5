/** The agent's side of a simulated host's spawner: what run/supervisor.ts is to the real one. Messages take their time both ways, in order. */
import type { Ended, Running, RunSpec, Supervisor } from "../../packages/agent/src/run/supervisor.ts";
import { runId, type Started } from "../../packages/agent/src/spawner/protocol.ts";
import type { HostRun, SimHost } from "./host.ts";
import type { SimProcess } from "./process.ts";
import type { Dice } from "./random.ts";
import type { VirtualTime } from "./virtual-time.ts";

type Deps = { readonly time: VirtualTime; readonly process: SimProcess; readonly dice: Dice; readonly host: SimHost };
type Handle = Running & { readonly begin: (started: Started | undefined) => void; readonly end: (ended: Ended) => void };

export function openSimSupervisor({ time, process, dice, host }: Deps): Supervisor {
  /** Not ended, as far as this agent knows. */
  const handles = new Map<string, Handle>();
  /** What this agent has begun or asked for; its end stays with the spawner until the agent has noted it. */
  const asked = new Set<string>();
  let downAt = 0;
  let upAt = 0;
  let isClosed = false;

  /** A message leaves with the end of the turn, if the agent lives so long; then nothing stops it. */
  function down(act: () => void): void {
    queueMicrotask(() => {
      if (!process.isAlive) return;
      downAt = Math.max(downAt, time.nowMs + dice.int(0, 2));
      time.at(downAt, act);
    });
  }

  function up(tell: () => void): void {
    upAt = Math.max(upAt, time.nowMs + dice.int(0, 2));
    process.deliver(upAt, tell);
  }

  function handleOf(spec: RunSpec): Handle {
    const id = runId(spec);
    const started = Promise.withResolvers<Started | undefined>();
    const ended = Promise.withResolvers<Ended>();
    const handle: Handle = {
      started: started.promise,
      ended: ended.promise,
      begin: started.resolve,
      end(how) {
        handles.delete(id);
        started.resolve(undefined);
        ended.resolve(how);
      },
      kill: (by, reason) => down(() => host.runs.get(id)?.lifespan.end({ type: "killed", by, reason })),
      extend: (deadline) => down(() => host.runs.get(id)?.lifespan.extend(deadline, { byName: true })),
    };
    handles.set(id, handle);
    asked.add(id);
    return handle;
  }

  function follow(handle: Handle): HostRun["tell"] {
    return { started: (started) => up(() => handle.begin(started)), ended: (ended) => up(() => handle.end(ended)) };
  }

  host.connect();
  return {
    start(spec) {
      if (!("argv" in spec)) throw new Error("the simulation has no session host");
      const handle = handleOf(spec);
      if (!isClosed) down(() => host.start(spec, follow(handle)));
      return handle;
    },
    resume(spec) {
      const id = runId(spec);
      const run = host.runs.get(id);
      if (run === undefined) return host.gone.has(id) ? "reboot" : undefined;
      const handle = handleOf(spec);
      if (run.started !== undefined) handle.begin(run.started);
      if (run.ended !== undefined) handle.end(run.ended);
      else run.tell = follow(handle);
      return handle;
    },
    noted: (spec) => down(() => void host.runs.delete(runId(spec))),
    extendAll(deadline) {
      if (handles.size > 0) down(() => host.extendAll(deadline));
    },
    get running() {
      return handles.size;
    },
    settle() {
      for (const [id, { ended }] of host.runs) if (ended !== undefined && !asked.has(id)) host.runs.delete(id);
    },
    async close() {
      isClosed = true;
    },
  };
}
