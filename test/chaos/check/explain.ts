/**
 * Is what the fleet says of a tick that did not run, or of an attempt that was ended, justified by something that happened to it? A verdict without a cause
 * in the history of faults, in what people did, or in what ran beside it, is a finding. Pure.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { Cast } from "../cast.ts";
import type { Stretch } from "../fault-log.ts";
import { MAX_STEP_MS } from "../faults/clock.ts";
import { SESSION_TTL_MS } from "../fleet.ts";
import type { Deed } from "../traffic/traffic.ts";
import type { Witnessed } from "./evidence.ts";
import type { Told } from "./records.ts";
import { FELT_MS, unsettled } from "./targets.ts";

export type Facts = {
  readonly cast: Cast;
  readonly specs: Readonly<Record<string, JobSpec>>;
  readonly stretches: readonly Stretch[];
  readonly deeds: readonly Deed[];
  readonly runs: readonly Witnessed[];
};

/** The agent was not there, or did not move. */
const AWAY = new Set(["agent-kill", "agent-stop", "host-stop", "agent-and-spawner-kill"]);
const DEAD = new Set(["agent-kill", "agent-and-spawner-kill"]);
const NO_SPAWNER = new Set(["spawner-kill", "agent-and-spawner-kill"]);
const NETWORK = new Set(["partition", "halves", "slow"]);
/** The end of a process is known a little later, and what people asked for is done a little later. */
const SLACK_MS = 3000;

/** What is wrong with the verdict; undefined: nothing. */
export function unexplained(facts: Facts, told: Told): string | undefined {
  const { node, outcome } = told;
  const dueMs = told.dueMs ?? told.beginMs ?? told.toldMs;
  // The auditor's verdict on a tick that any node might have run names none.
  const isAgent = facts.cast.agents.includes(node);
  const span = { fromMs: dueMs - FELT_MS, untilMs: Math.max(told.toldMs, told.dueUntilMs ?? dueMs) + SLACK_MS };
  const struck = (names: ReadonlySet<string>, within = span) =>
    facts.stretches.some(
      ({ fault, touches, fromMs, untilMs }) =>
        names.has(fault) && (touches.includes(node) || !isAgent) && overlap(within, { fromMs, untilMs }),
    );
  const cutOff = () => struck(NETWORK) || facts.stretches.some((stretch) => ofEtcd(facts.cast, stretch) && overlap(span, stretch));
  const because = (holds: boolean, needs: string) => (holds ? undefined : `${outcome} needs ${needs}`);
  const [word = "", what = ""] = outcome.split(":");
  switch (word) {
    case "exit":
      return undefined;
    case "timeout":
      return because(facts.specs[told.job]?.timeout !== undefined, "a timeout of its job");
    case "killed":
      return because(wasKilled(facts, told), "somebody who killed it");
    case "lockLost":
      return because(cutOff() || struck(AWAY), "a cut, or an agent that was stopped");
    case "spawnFailed":
      return because(struck(new Set(["disk-full", ...NO_SPAWNER])), "a full disk or a dead spawner");
    case "lost":
      if (what === "nodeGone") return because(cutOff() || struck(AWAY), "a node that was cut off or stopped");
      if (what === "agentStopped") return because(struck(DEAD), "a killed agent");
      return because(what === "supervisor" && struck(NO_SPAWNER), "a killed spawner");
    case "skipped":
      return because(...whySkipped());
    case "missed":
      return because(what === "nodeOffline" && (struck(AWAY) || cutOff()), "a node that was not there");
    default:
      return `${outcome} has no cause that this run could give`;
  }

  function whySkipped(): [boolean, string] {
    switch (what) {
      case "overlap":
        return [told.detail.endsWith("is queued already") || ranBeside(facts, told, span.untilMs), "another execution beside it"];
      case "isolated":
        return [cutOff() || struck(AWAY), "a cut"];
      case "diskFull":
        return [struck(new Set(["disk-full"])), "a full disk"];
      case "cancelled":
        return [wasKilled(facts, told) || wasChanged(facts, told), "an edit, a pause or a kill"];
      case "misfireSkip":
        return [everyTickAway(), "an agent that was away at that time, or a clock that stepped"];
      default:
        return [false, "something that this run does not do"];
    }
  }

  /** The first and the last tick of the range fell into a time without this agent. */
  function everyTickAway(): boolean {
    return [dueMs, told.dueUntilMs ?? dueMs].every((at) =>
      struck(new Set([...AWAY, "clock"]), { fromMs: at - FELT_MS, untilMs: at + SLACK_MS }),
    );
  }
}

/** Something that happened to members of etcd, which everybody feels. */
export function ofEtcd(cast: Cast, { touches }: Pick<Stretch, "touches">): boolean {
  return touches.some((host) => cast.members.includes(host));
}

function overlap(
  one: { fromMs: EpochMs; untilMs?: EpochMs | undefined },
  two: { fromMs: EpochMs; untilMs?: EpochMs | undefined },
): boolean {
  return (one.untilMs ?? Number.POSITIVE_INFINITY) >= two.fromMs && (two.untilMs ?? Number.POSITIVE_INFINITY) >= one.fromMs;
}

function wasKilled({ deeds, specs }: Facts, told: Told): boolean {
  return (
    deeds.some(({ what, on }) => what === "kill" && on === told.execution) ||
    (specs[told.job]?.overlap === "replace" && told.detail.includes("replaced")) ||
    (told.job.startsWith("p/") && deeds.some(({ what }) => what === "cancel" || what === "pipeline"))
  );
}

/** Between the due time and the verdict, or around the due time: a tick that is held waits for long. */
function wasChanged(facts: Facts, told: Told): boolean {
  const dueMs = told.dueMs ?? told.toldMs;
  return unsettled(facts, told.job).some(({ fromMs, untilMs }) =>
    overlap({ fromMs: dueMs, untilMs: Math.max(dueMs, told.toldMs) }, { fromMs, untilMs }),
  );
}

/**
 * Another execution of the job was under way between the due time and the verdict: on the node, or for `alone` anywhere; or had ended on a node that could not
 * give the lock back, because it did not reach etcd: then the lock stays until it does, or its session is over.
 */
function ranBeside({ runs, specs, stretches, cast }: Facts, told: Told, untilMs: EpochMs): boolean {
  const dueMs = told.dueMs ?? told.toldMs;
  const anywhere = specs[told.job]?.kind === "alone";
  // An agent that is stopped learns late that a process has ended; one whose clock is off says other times.
  const stopped = stretches.filter(
    (stretch) => (AWAY.has(stretch.fault) || stretch.fault === "clock") && (anywhere || stretch.touches.includes(told.node)),
  );
  const spare = SLACK_MS + (stopped.some(({ fault }) => fault === "clock") ? MAX_STEP_MS : 0);
  const known = (run: Witnessed) =>
    Math.max(
      run.endMs ?? run.lastMs,
      ...stopped
        .filter((stretch) => overlap({ fromMs: run.beginMs, untilMs: (run.endMs ?? run.lastMs) + SLACK_MS }, stretch))
        .map((stretch) => stretch.untilMs ?? untilMs),
    ) + spare;
  const cuts = stretches.filter((stretch) => anywhere && (NETWORK.has(stretch.fault) || ofEtcd(cast, stretch)));
  const lockBack = (run: Witnessed) => {
    let atMs = known(run);
    for (const stretch of cuts.toSorted((a, b) => a.fromMs - b.fromMs)) {
      const { touches, fromMs, untilMs: healedMs = untilMs } = stretch;
      const isCut = touches.includes(run.node) || ofEtcd(cast, stretch);
      if (isCut && fromMs <= atMs && healedMs >= run.beginMs) atMs = Math.max(atMs, healedMs + SESSION_TTL_MS);
    }
    return atMs;
  };
  const retryMs = (specs[told.job]?.retry?.limit ?? 0) > 0 ? 2 * SLACK_MS : 0;
  return runs.some(
    (run) =>
      run.job === told.job &&
      run.execution !== told.execution &&
      (anywhere || run.node === told.node) &&
      run.beginMs - spare <= untilMs &&
      lockBack(run) + retryMs >= dueMs,
  );
}
