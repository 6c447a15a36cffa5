/** Where the tasks of a pipeline stand in its drawing: a column behind all that they wait for, with lines from those that they wait for directly. Pure. */

export type GraphTask = {
  readonly name: string;
  readonly part: "main" | "finally";
  readonly needs: readonly string[];
  /** It waits for so many tasks of the list, the first ones. */
  readonly after: number;
};
export type GraphLayout = {
  readonly places: readonly { readonly name: string; readonly column: number; readonly row: number }[];
  readonly edges: readonly { readonly from: string; readonly to: string }[];
  readonly columns: number;
  readonly rows: number;
};

/** `finally` tasks come behind all others. A task waits only for ones that stand before it in the list, so there are no circles. */
export function layOut(tasks: readonly GraphTask[]): GraphLayout {
  const before = new Map<string, Set<string>>();
  const direct = new Map<string, string[]>();
  for (const [index, task] of tasks.entries()) {
    const first = tasks.slice(0, Math.min(task.after, index)).map(({ name }) => name);
    const waits = [...new Set([...first, ...task.needs])].filter((name) => name !== task.name && tasks.some((one) => one.name === name));
    const inherited = new Set(waits.flatMap((name) => [...(before.get(name) ?? [])]));
    before.set(task.name, new Set([...waits, ...inherited]));
    direct.set(
      task.name,
      waits.filter((name) => !inherited.has(name)),
    );
  }
  const depths = new Map<string, number>();
  const depthOf = (name: string, below: readonly string[]): number => {
    const known = depths.get(name);
    if (known !== undefined) return known;
    const needs = (direct.get(name) ?? []).filter((need) => !below.includes(need));
    const depth = needs.length === 0 ? 0 : 1 + Math.max(...needs.map((need) => depthOf(need, [...below, name])));
    depths.set(name, depth);
    return depth;
  };
  const mainColumns = 1 + Math.max(-1, ...tasks.filter(({ part }) => part === "main").map(({ name }) => depthOf(name, [])));
  const counts: number[] = [];
  const places = tasks.map(({ name, part }) => {
    const column = depthOf(name, []) + (part === "finally" ? mainColumns : 0);
    const row = counts[column] ?? 0;
    counts[column] = row + 1;
    return { name, column, row };
  });
  const edges = tasks.flatMap(({ name }) => (direct.get(name) ?? []).map((from) => ({ from, to: name })));
  return { places, edges, columns: counts.length, rows: Math.max(0, ...counts.map((count) => count ?? 0)) };
}
