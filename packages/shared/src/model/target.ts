/**
 * Which nodes a rule runs on. All conditions hold together: `nodes` (exact ids) and `labels` (every one) and not `exclude` (exact ids).
 * An empty target matches every node; `prefer` only orders the nodes and is not looked at here.
 */
import type { Target } from "./job.ts";

/** What a target is matched against: the id, and the effective labels (facts.ts). */
export type TargetNode = { readonly id: string; readonly labels: Readonly<Record<string, string>> };

/** A selector value for "has this label, whatever its value", and for "has it not". */
export const LABEL_EXISTS = "*";
export const LABEL_ABSENT = "!*";

/** Whether `target` takes in `node`. */
export function matchesTarget(target: Pick<Target, "nodes" | "labels" | "exclude">, node: TargetNode): boolean {
  if (target.exclude.includes(node.id)) return false;
  if (target.nodes.length > 0 && !target.nodes.includes(node.id)) return false;
  for (const [name, wanted] of Object.entries(target.labels)) {
    if (!matchesLabel(Object.hasOwn(node.labels, name) ? node.labels[name] : undefined, wanted)) return false;
  }
  return true;
}

/** One condition: `"x"` equal · `"!=x"` another value or no such label · `[x, y]` one of them · `"*"` exists · `"!*"` exists not. */
export function matchesLabel(value: string | undefined, wanted: string | readonly string[]): boolean {
  if (typeof wanted !== "string") return value !== undefined && wanted.includes(value);
  if (wanted === LABEL_EXISTS) return value !== undefined;
  if (wanted === LABEL_ABSENT) return value === undefined;
  if (wanted.startsWith("!=")) return value !== wanted.slice(2);
  return value === wanted;
}
