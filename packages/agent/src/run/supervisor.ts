/**
 * The agent's side of what runs. The agent itself never forks for a job, nor holds a session: a spawner and a session host do, which outlive it
 * (docs/decisions.md); "spawner" here means either. At its start the agent connects to those that are there, takes over what they run and hears what has ended; one
 * that dies is replaced, and the next one watches over what it left. Timeouts, kills and deadlines are kept in the spawner. Etcd plays no part here.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Outcome } from "fleetcron-shared/model/record";
import { readLogbook } from "../spawner/logbook.ts";
import { findLeader, isAlive } from "../spawner/processes.ts";
import {
  type Ended,
  PROTOCOL,
  type RunId,
  type RunKind,
  type RunState,
  runId,
  type SessionStart,
  type Started,
  type StartSpec,
  type WatchSpec,
} from "../spawner/protocol.ts";
import { kindOf, RunEntry, type Running, type RunSpec } from "./run-entry.ts";
import { connectSpawner, type SpawnerLink, type SpawnerOptions, startSpawner } from "./spawner-link.ts";

export type { Ended, Running, RunSpec, SessionStart, StartSpec, WatchSpec };

/** When the agent ends with its executions, no `killGrace` is longer: whoever stops it waits. */
const STOP_GRACE_MS = 10_000;
/** A spawner that dies again and again must not be started for the same run for ever. */
const MOST_STARTS = 5;

export type SupervisorOptions = SpawnerOptions & { readonly bootId: string };

export type Supervisor = {
  /** Never throws: what goes wrong is the outcome of the handle. */
  start(spec: StartSpec | SessionStart): Running;
  /**
   * The handle of a run that an earlier agent process has started, or undefined when no spawner ever got it. `reboot`: it went with the host. Its spawner has kept
   * the deadline; the one in `spec` is for a run whose spawner is gone too.
   */
  resume(spec: RunSpec): Running | "reboot" | undefined;
  /** The end of this run is in the journal: its spawner may forget it. */
  noted(spec: { execution: string; attempt: number }): void;
  /** Moves the deadline of every run that was started with one by this agent process, or taken over by name (`Running.extend`). */
  extendAll(deadlineMono: MonoMs): void;
  /** Runs that have not ended, those that wait to be started included. */
  readonly running: number;
  /** Once everything of the agent's journal is resumed: forgets ends that nobody asks for, and tells of runs that nobody knows. */
  settle(): void;
  /** Takes no more starts and lets the spawners go; with `stopExecutions` after ending what runs. What runs otherwise goes on without the agent. */
  close(options: { stopExecutions: boolean }): Promise<void>;
};

/** Connects to the spawners that are there, and starts one if none is of this version. Throws when it cannot. */
export async function openSupervisor(deps: { clock: Clock; log: Log }, options: SupervisorOptions): Promise<Supervisor> {
  const { clock, log } = deps;
  const { folder, version, bootId } = options;
  const links = new Set<SpawnerLink>();
  /** Runs of spawners that are dead and that nobody has asked for yet. */
  const orphans = new Map<RunId, { readonly run: RunState; readonly sameBoot: boolean }>();
  /** Logbooks of dead spawners: each stays until the journal knows every end in it that somebody asks for. */
  const books = new Map<string, Set<RunId>>();
  let count = 0;
  /** Who takes new runs. */
  const current = new Map<RunKind, SpawnerLink>();
  const replacements = new Map<RunKind, Promise<void>>();
  let closing: Promise<void> | undefined;

  function adoptLink(link: SpawnerLink): SpawnerLink {
    links.add(link);
    link.onGone = () => void replace(link);
    return link;
  }

  /** What a dead spawner has written down, without what is held by a handle. */
  function readDead(name: string): void {
    try {
      const { sameBoot, runs } = readLogbook(join(folder, `${name}.runs`), bootId);
      books.set(name, new Set(runs.keys()));
      for (const [id, run] of runs) orphans.set(id, { run, sameBoot });
    } catch (thrown) {
      log.warn({ spawner: name, error: asError(thrown).message }, "a spawner's logbook cannot be read");
    }
  }

  /** A spawner has died: what lives of it goes to the next one, and the rest is lost. */
  async function replace(dead: SpawnerLink): Promise<void> {
    links.delete(dead);
    if (dead === current.get(dead.kind)) current.delete(dead.kind);
    log.error({ spawner: dead.name, runs: dead.entries.size }, "the spawner died; another one takes over what runs");
    readDead(dead.name);
    const entries = [...dead.entries.values()];
    try {
      const next = entries.length === 0 && dead.kind === "sessions" ? undefined : await spawner(dead.kind);
      for (const entry of entries) if (next !== undefined) resumeOrphan(next, entry);
      forgetBooks([...orphans.keys()]);
    } catch (thrown) {
      log.error({ error: asError(thrown).message }, "no spawner can be started");
      for (const entry of entries) entry.end(lost());
    }
  }

  function resumeOrphan(link: SpawnerLink, entry: RunEntry): void {
    const orphan = orphans.get(entry.id) ?? (entry.before && { run: entry.before, sameBoot: true });
    orphans.delete(entry.id);
    // Not in the logbook: it has never begun.
    if (orphan === undefined && entry.isNew) {
      if (++entry.starts <= MOST_STARTS) return link.start(entry);
      return entry.end({ ...lost(), outcome: { type: "spawnFailed", error: `${MOST_STARTS} spawners died before they could start it` } });
    }
    if (orphan === undefined) return entry.end(lost());
    const { run, sameBoot } = orphan;
    if (run.ended !== undefined || link.kind === "sessions") return link.resume(entry, run);
    const started = sameBoot ? (run.started ?? unnoted(entry.id)) : undefined;
    const isGone = started === undefined || !isAlive(started);
    link.resume(entry, { ...run, ...(started && { started }), ...(isGone ? { ended: lost() } : {}) });
  }

  /** The spawner died in the instant between the start of a process and its note. */
  function unnoted(id: RunId): Started | undefined {
    const found = findLeader(id);
    return found && { ...found, startedAtMs: clock.now() };
  }

  /** These runs are of no more use to anybody; a book that holds no others goes. */
  function forgetBooks(ids: readonly RunId[]): void {
    for (const id of ids) orphans.delete(id);
    for (const [name, needed] of books) {
      for (const id of ids) needed.delete(id);
      if (needed.size > 0) continue;
      books.delete(name);
      for (const end of [".runs", ".sock"]) rmSync(join(folder, name + end), { force: true });
    }
  }

  function lost(): Ended {
    return { outcome: { type: "lost", why: "supervisor" }, endedAtMs: clock.now(), durationMs: 0 };
  }

  /** The spawner for new runs of a kind. */
  async function spawner(kind: RunKind): Promise<SpawnerLink> {
    const known = current.get(kind);
    if (known !== undefined) return known;
    let replacement = replacements.get(kind);
    if (replacement === undefined) {
      replacement = startSpawner(deps, options, kind, `${clock.now().toString(36)}-${process.pid}-${++count}`)
        .then((link) => void current.set(kind, adoptLink(link)))
        .finally(() => replacements.delete(kind));
      replacements.set(kind, replacement);
    }
    await replacement;
    return spawner(kind);
  }

  /** Hands an entry to the spawner of its kind, at once if there is one. */
  function hand(entry: RunEntry, to: (link: SpawnerLink) => void, failed: (thrown: unknown) => Outcome): void {
    const kind = kindOf(entry.spec);
    const known = current.get(kind);
    if (known !== undefined) return to(known);
    spawner(kind).then(to, (thrown: unknown) => entry.end({ ...lost(), outcome: failed(thrown) }));
  }

  async function close(stopExecutions: boolean): Promise<void> {
    await Promise.allSettled(replacements.values());
    const entries = [...links].flatMap((link) => [...link.entries.values()]);
    if (!stopExecutions) return;
    const why = { by: "agent", reason: "the agent is stopped with its executions" };
    for (const link of links) link.send({ t: "killAll", ...why, maxGraceMs: STOP_GRACE_MS });
    await Promise.all(entries.map((entry) => entry.ended));
  }

  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".runs"))) {
    const name = file.slice(0, -".runs".length);
    const link = await connectSpawner(deps, folder, name);
    if (link === undefined) {
      readDead(name);
      continue;
    }
    adoptLink(link);
    if (link.version === version && link.protocol === PROTOCOL && !current.has(link.kind)) current.set(link.kind, link);
    else link.send({ t: "retire" });
  }
  await spawner("processes");

  return {
    start(spec) {
      const entry = new RunEntry(spec, { isNew: true });
      // Too late: it stays in the journal as not started, and its handle open, until the process ends.
      if (closing !== undefined) return entry;
      hand(
        entry,
        (link) => link.start(entry),
        (thrown) => ({ type: "spawnFailed", error: asError(thrown).message }),
      );
      return entry;
    },
    resume(spec) {
      const id = runId(spec);
      const entry = new RunEntry(spec, { isNew: false });
      for (const link of links) {
        const state = link.known.get(id);
        if (state === undefined) continue;
        link.resume(entry, state);
        return entry;
      }
      const orphan = orphans.get(id);
      if (orphan === undefined) return undefined;
      // What runs elsewhere does not go with this host.
      if (!orphan.sameBoot && orphan.run.ended === undefined && kindOf(spec) === "processes") return "reboot";
      hand(
        entry,
        (link) => resumeOrphan(link, entry),
        () => lost().outcome,
      );
      return entry;
    },
    noted(spec) {
      const ids = [runId(spec)];
      for (const link of links) link.send({ t: "ack", ids });
      if (books.size > 0) forgetBooks(ids);
    },
    extendAll(deadlineMono) {
      for (const link of links) {
        if (link.entries.size === 0) continue;
        link.send({ t: "extendAll", deadlineMono });
        for (const entry of link.entries.values()) entry.extendedWithAll(deadlineMono);
      }
    },
    get running() {
      return [...links].reduce((sum, link) => sum + link.entries.size, 0);
    },
    settle() {
      for (const link of links) {
        for (const [id, run] of link.known) {
          if (run.ended === undefined) log.warn({ run: id, pid: run.started?.pid }, "a process runs that the journal does not know");
          else link.send({ t: "ack", ids: [id] });
        }
      }
      forgetBooks([...orphans.keys()]);
    },
    close(how) {
      closing ??= close(how.stopExecutions).then(async () => {
        for (const link of links) {
          link.send({ t: "retire" });
          await link.close();
        }
      });
      return closing;
    },
  };
}
