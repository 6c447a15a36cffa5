/**
 * What one transaction makes of a run: the requests that wait, deadlines, what is known of its executions, the choice of nodes, and as many orders as
 * fit. Pure but for the ids and tokens that it is given.
 */
import { type EpochMs, toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { type Effect, planTaskOf } from "fleetcron-shared/model/pipeline/draft";
import { type Candidate, place } from "fleetcron-shared/model/pipeline/placement";
import type { RunPlan } from "fleetcron-shared/model/pipeline/plan";
import type { RunAnswer, RunRequest } from "fleetcron-shared/model/pipeline/request";
import { isLive, isRunEnd, nextDeadline, type RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { type RunEvent, step } from "fleetcron-shared/model/pipeline/step";

/** What the run finds outside of itself. */
export type World = {
  readonly nowMs: EpochMs;
  /** Whether it is the turn of the run, which is queued. */
  readonly mayStart: (run: RunDocument) => boolean;
  readonly candidates: () => readonly Candidate[];
  readonly newId: () => string;
  readonly newToken: () => { readonly token: string; readonly hash: string };
  readonly hasStarted: (execution: string) => boolean;
  readonly isGone: (node: string) => boolean;
};

export type Composed = {
  readonly run: RunDocument;
  readonly effects: readonly Effect[];
  /** One for each request, in their order; undefined where nobody asks. */
  readonly answers: readonly (RunAnswer | undefined)[];
  /** Update tokens, by execution. */
  readonly tokens: ReadonlyMap<string, string>;
  /** More orders wait than fit. */
  readonly again: boolean;
};

export type Budget = { readonly orders: number; readonly bytes: number };

export function compose(plan: RunPlan, before: RunDocument, requests: readonly RunRequest[], world: World, budget: Budget): Composed {
  const { nowMs } = world;
  const effects: Effect[] = [];
  let run = before;
  const apply = (event: RunRequest["event"]) => {
    const done = step(plan, run, { ...event, nowMs } as RunEvent);
    run = done.run;
    effects.push(...done.effects);
  };

  const answers = requests.map(({ event, ask }): RunAnswer | undefined => {
    try {
      apply(event);
      return ask === true ? { v: 1 } : undefined;
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code === "internal/bug") throw thrown;
      const { code, message, hint, issues } = thrown;
      return { v: 1, refused: { code, message, issues, ...(hint === undefined ? {} : { hint }) } };
    }
  });
  if (run.state === "queued" && world.mayStart(run)) apply({ type: "start" });
  const deadline = nextDeadline(run);
  if (deadline !== undefined && deadline <= toIso(nowMs)) apply({ type: "tick" });
  for (const event of factsOf(run, world)) apply(event);
  placeAll(plan, () => run, world, apply);
  const { tokens, again } = orderAll(plan, () => run, world, budget, apply);
  return { run, effects, answers, tokens, again };
}

/** What can be seen of the run's executions: processes that have begun, nodes that are gone. */
function factsOf(run: RunDocument, world: World): RunRequest["event"][] {
  if (isRunEnd(run.state)) return [];
  return Object.entries(run.tasks).flatMap(([task, { attempt, instances = [] }]) =>
    instances.flatMap(({ execution, node, state }): RunRequest["event"][] => {
      if (!isLive(state) || state === "planned") return [];
      if (state === "creating" && world.hasStarted(execution)) return [{ type: "started", task, attempt, execution }];
      if (!world.isGone(node)) return [];
      const message = "lost with its node";
      return [{ type: "ended", task, attempt, execution, success: false, ran: state !== "creating", lost: true, message }];
    }),
  );
}

function placeAll(plan: RunPlan, runNow: () => RunDocument, world: World, apply: (event: RunRequest["event"]) => void): void {
  let candidates: Candidate[] | undefined;
  for (const task of plan.tasks) {
    const held = runNow().tasks[task.name];
    if (held?.wait?.for !== "node" || held.state !== "scheduling") continue;
    candidates ??= [...world.candidates()];
    const placement = place(plan, runNow(), task, candidates);
    const { attempt } = held;
    if ("why" in placement) {
      apply({ type: "noNode", task: task.name, attempt, why: placement.why });
      continue;
    }
    const chosen = new Set(placement.nodes);
    candidates = candidates.map((node) => (chosen.has(node.id) ? { ...node, load: node.load + 1 } : node));
    const instances = placement.nodes.map((node) => ({ node, execution: world.newId() }));
    apply({ type: "placed", task: task.name, attempt, instances, message: placement.leftOut });
  }
}

/** Sends as many of the planned executions as fit; the others go with the next transaction. */
function orderAll(
  plan: RunPlan,
  runNow: () => RunDocument,
  world: World,
  budget: Budget,
  apply: (event: RunRequest["event"]) => void,
): Pick<Composed, "tokens" | "again"> {
  const tokens = new Map<string, string>();
  let { orders, bytes } = budget;
  for (const [name, { attempt, instances = [] }] of Object.entries(runNow().tasks)) {
    const planned = instances.filter(({ state }) => state === "planned");
    if (planned.length === 0) continue;
    const task = planTaskOf(plan, name);
    const size = JSON.stringify(plan.jobs[task.job]?.spec ?? {}).length + JSON.stringify(plan.values).length + 2048;
    // The first one always goes: its job fits, whatever else there is.
    const room = Math.max(orders === budget.orders ? 1 : 0, Math.min(orders, Math.floor(bytes / size)));
    const going = planned.slice(0, room);
    if (going.length > 0) {
      orders -= going.length;
      bytes -= going.length * size;
      const [first] = going;
      const made = task.manualStatus === true && first !== undefined ? world.newToken() : undefined;
      if (made !== undefined && first !== undefined) tokens.set(first.execution, made.token);
      apply({ type: "ordered", task: name, attempt, executions: going.map(({ execution }) => execution), tokenHash: made?.hash });
    }
    if (going.length < planned.length) return { tokens, again: true };
  }
  return { tokens, again: false };
}
