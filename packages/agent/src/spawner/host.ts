/**
 * All runs of one spawner. Requests are started as they come, in slices, so that ends, kills and deadlines are served in the middle of a burst of starts;
 * messages of one turn of the event loop leave together. Ends are kept until the agent says that they are in its journal: it may die at any moment.
 */
import { openSync } from "node:fs";
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import { openCapSweep } from "../logs/cap-sweep.ts";
import { Birthmarks } from "./birthmark.ts";
import { type Cgroups, oomKillsOfHost } from "./cgroups.ts";
import type { PassPoint } from "./kill-points.ts";
import type { Libc } from "./libc.ts";
import { ProcessTree, type TreeDeps } from "./process-tree.ts";
import { ProcessTable } from "./processes.ts";
import { encodeLine, type FromSpawner, type RunId, type RunState, runId, type StartSpec } from "./protocol.ts";
import type { Host, Served } from "./serve.ts";

/** The longest that a burst of starts keeps everything else waiting. */
const SLICE_MS = 10;
const LOOK_MS = 200;
/** The kernel counts what it kills for memory; the end of it, which may have much to give back, is seen within so much time. */
const OOM_IS_RECENT_MS = 1000;

export type ProcessHost = Host & {
  /** Call it on SIGCHLD. */
  reap(): void;
};

type Deps = Served & {
  readonly clock: Clock;
  readonly libc: Libc;
  readonly cgroups: Cgroups;
  readonly passPoint: PassPoint;
  readonly ownPid: number;
};

export function openHost(deps: Deps): ProcessHost {
  const { clock, libc, logbook } = deps;
  const trees = new Map<RunId, ProcessTree>();
  const byPid = new Map<number, ProcessTree>();
  const ends = new Map<RunId, RunState>();
  let queue: { tree: ProcessTree; spec: StartSpec }[] = [];
  /** Started, and not told of yet. */
  let untold: ProcessTree[] = [];
  let sliceEnd: MonoMs | undefined;
  let replies = "";
  let send: ((text: string) => void) | undefined;
  let isLooking = false;
  let oomKills = 0;
  let oomAt: MonoMs = Number.NEGATIVE_INFINITY;

  const treeDeps: TreeDeps = {
    clock,
    libc,
    nullFd: openSync("/dev/null", "r"),
    cgroups: deps.cgroups,
    birthmarks: new Birthmarks(),
    table: new ProcessTable(clock, deps.ownPid),
    caps: openCapSweep({ punchHole: libc.punchHole, after: clock.after, warn: deps.warn }),
    report,
    hostKilledForMemory() {
      lookForOom();
      return clock.mono() - oomAt < OOM_IS_RECENT_MS;
    },
    warn: deps.warn,
  };

  function report(message: FromSpawner): void {
    if (message.t === "started") {
      logbook.started(message.id, message.started);
      deps.passPoint("spawner:logged");
    }
    if (message.t === "ended") {
      logbook.ended(message.id, message.started, message.ended);
      ends.set(message.id, { ...trees.get(message.id)?.runState, id: message.id, ended: message.ended });
      trees.delete(message.id);
    }
    if (replies === "") clock.turn(flush);
    replies += encodeLine(message);
  }

  function flush(): void {
    logbook.flush();
    if (ends.size > 0) deps.passPoint("spawner:ended");
    send?.(replies);
    replies = "";
    deps.onChanged();
  }

  function startQueued(): void {
    if (sliceEnd === undefined) {
      sliceEnd = clock.mono() + SLICE_MS;
      clock.turn(nextTurn);
    }
    let next = 0;
    while (next < queue.length && clock.mono() < sliceEnd) {
      const { tree, spec } = queue[next++] as (typeof queue)[number];
      deps.passPoint("spawner:taken");
      logbook.begins(tree.id);
      deps.passPoint("spawner:noted");
      tree.start(spec);
      deps.passPoint("spawner:spawned");
      if (tree.pid !== undefined) {
        byPid.set(tree.pid, tree);
        untold.push(tree);
      }
    }
    queue = queue.slice(next);
    lookSoon();
  }

  function nextTurn(): void {
    sliceEnd = undefined;
    reap();
    for (const tree of untold) tree.tellStart();
    untold = [];
    if (queue.length > 0) startQueued();
  }

  function reap(): void {
    for (let status = libc.reap(); status !== undefined; status = libc.reap()) {
      const tree = byPid.get(status.pid);
      byPid.delete(status.pid);
      if (tree !== undefined) deps.passPoint("spawner:reaped");
      tree?.exited(status);
    }
  }

  /** While something runs, it is looked at now and then. */
  function lookSoon(): void {
    if (isLooking || trees.size === 0) return;
    isLooking = true;
    oomKills = oomKillsOfHost();
    const lookAgain = () =>
      clock.after(LOOK_MS, () => {
        for (const tree of trees.values()) tree.look();
        lookForOom();
        isLooking = trees.size > 0;
        if (isLooking) lookAgain();
      });
    lookAgain();
  }

  function lookForOom(): void {
    const count = oomKillsOfHost();
    if (count > oomKills) oomAt = clock.mono();
    oomKills = count;
  }

  function watch(tree: ProcessTree): ProcessTree {
    trees.set(tree.id, tree);
    return tree;
  }

  return {
    receive(message) {
      switch (message.t) {
        case "start":
          queue.push({ tree: watch(new ProcessTree(treeDeps, message.spec)), spec: message.spec });
          return startQueued();
        case "adopt":
          // An agent that came in the middle may ask again for what the one before had asked.
          if (trees.has(runId(message.spec))) return;
          watch(new ProcessTree(treeDeps, message.spec)).adopt(message.started);
          logbook.started(runId(message.spec), message.started);
          return lookSoon();
        case "kill":
          return trees.get(message.id)?.end({ type: "killed", by: message.by, reason: message.reason });
        case "extend":
          return trees.get(message.id)?.extend(message.deadlineMono, { byName: true });
        case "extendAll":
          for (const tree of trees.values()) tree.extend(message.deadlineMono, { byName: false });
          return;
        case "killAll":
          for (const tree of [...trees.values()]) tree.end({ type: "killed", by: message.by, reason: message.reason }, message.maxGraceMs);
          return;
        case "ack":
          for (const id of message.ids) ends.delete(id);
          if (ends.size === 0 && trees.size === 0) logbook.trim();
          return deps.onChanged();
        case "open":
        case "reopen":
        case "retire":
          return;
      }
    },
    connect(to) {
      if (to !== undefined) for (const tree of trees.values()) tree.hold();
      send = to;
      replies = "";
      return [...ends.values(), ...[...trees.values()].map((tree) => tree.runState)];
    },
    reap,
    get running() {
      return trees.size;
    },
    get unnoted() {
      return ends.size;
    },
  };
}
