/** What differs between two specs, field by field. Pure. */
import { isDeepStrictEqual } from "node:util";
import type { JobSpec } from "fleetcron-shared/model/job-spec";

/** Whether two specs mean the same text, whatever the order of their fields. */
export function sameSpec(a: JobSpec, b: JobSpec): boolean {
  return isDeepStrictEqual(a, b);
}

/** Lines such as `- rules[0].timer: "0 2 * * *"` and `+ rules[0].timer: "0 3 * * *"`, in the order of the fields. */
export function specDiff(before: object | undefined, after: object | undefined): string[] {
  const was = flatten(before);
  const becomes = flatten(after);
  const lines: string[] = [];
  for (const path of new Set([...was.keys(), ...becomes.keys()])) {
    const [a, b] = [was.get(path), becomes.get(path)];
    if (a === b) continue;
    if (a !== undefined) lines.push(`- ${path}: ${a}`);
    if (b !== undefined) lines.push(`+ ${path}: ${b}`);
  }
  return lines;
}

function flatten(value: unknown, path = "", into = new Map<string, string>()): Map<string, string> {
  if (Array.isArray(value) && value.some((item) => typeof item === "object")) {
    for (const [index, item] of value.entries()) flatten(item, `${path}[${index}]`, into);
  } else if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const [name, item] of Object.entries(value)) flatten(item, path === "" ? name : `${path}.${name}`, into);
  } else if (value !== undefined) {
    into.set(path, JSON.stringify(value));
  }
  return into;
}
