/** The order of tasks: what each must wait for, from stages or `needs`; cycles by name. Pure. */
import type { PlacedTask } from "./pipeline-spec.ts";

/** A task waits for all of `needs` (indexes), and for the first `after` tasks of the list. */
export type GraphNode = { readonly needs: readonly number[]; readonly after: number };

/**
 * What each task waits for. A serial stage waits for everything written before each task, a parallel one for everything before the stage;
 * `sameNodeAs` is a need too. Unknown names are left out (pipeline-check.ts tells of them).
 */
export function waitsOf(placed: readonly PlacedTask[]): GraphNode[] {
  const indexOf = new Map(placed.map(({ task, part }, index) => [`${part} ${task.name}`, index]));
  const stageStart = new Map<unknown, number>();
  return placed.map(({ task, stage, part }, index): GraphNode => {
    if (stage !== undefined && !stageStart.has(stage)) stageStart.set(stage, index);
    const after = stage === undefined ? 0 : stage.parallel === true ? (stageStart.get(stage) ?? 0) : index;
    const names = [...(task.needs ?? []), ...(task.sameNodeAs === undefined ? [] : [task.sameNodeAs])];
    const needs = names.map((name) => indexOf.get(`${part} ${name}`)).filter((need) => need !== undefined);
    return { needs: [...new Set(needs)].filter((need) => need >= after), after };
  });
}

/** The indexes in an order in which each comes after all that it waits for, as written where there is a choice; or the tasks of a cycle, the first again at its end. */
export function topological(nodes: readonly GraphNode[]): { readonly order: readonly number[] } | { readonly cycle: readonly number[] } {
  const order: number[] = [];
  const state = new Map<number, "open" | "done">();
  const direct = nodes.map(directNeeds);
  const visit = (start: number): number[] | undefined => {
    const trail: { index: number; next: number }[] = [{ index: start, next: 0 }];
    state.set(start, "open");
    for (let top = trail.at(-1); top !== undefined; top = trail.at(-1)) {
      const need = direct[top.index]?.[top.next++];
      if (need === undefined) {
        state.set(top.index, "done");
        order.push(top.index);
        trail.pop();
      } else if (state.get(need) === "open") {
        const indexes = trail.map(({ index }) => index);
        return [...indexes.slice(indexes.indexOf(need)), need];
      } else if (!state.has(need)) {
        state.set(need, "open");
        trail.push({ index: need, next: 0 });
      }
    }
    return undefined;
  };
  for (let index = 0; index < nodes.length; index++) {
    if (state.has(index)) continue;
    const cycle = visit(index);
    if (cycle !== undefined) return { cycle };
  }
  return { order };
}

/** Whether a task waits for another, directly or indirectly. Holds where no cycle is. */
export function ancestorsOf(nodes: readonly GraphNode[], index: number): (other: number) => boolean {
  const found = new Set<number>();
  const open = [index];
  // What the tasks of a prefix wait for lies within it.
  let prefix = 0;
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    prefix = Math.max(prefix, nodes[at]?.after ?? 0);
    for (const need of nodes[at]?.needs ?? []) {
      if (found.has(need)) continue;
      found.add(need);
      open.push(need);
    }
  }
  return (other) => other < prefix || found.has(other);
}

function directNeeds(node: GraphNode): number[] {
  return [...Array.from({ length: node.after }, (_, index) => index), ...node.needs];
}
