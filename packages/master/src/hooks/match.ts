/** Whether a name is one that a trigger wants. Patterns come from who may edit pipelines, names from outside. */
import { Script } from "node:vm";
import { patternToRegExp } from "fleetcron-shared/model/pipeline/trigger-match";

/** A regular expression that takes longer for a name does not match it: nobody may hold the master up. */
const MAX_MS = 50;

/** Without patterns every name is wanted. */
export function matchesAny(patterns: readonly string[] | undefined, name: string): boolean {
  return patterns === undefined || patterns.some((pattern) => matches(pattern, name));
}

function matches(pattern: string, name: string): boolean {
  if (pattern === name) return true;
  try {
    const context = { regExp: patternToRegExp(pattern), name };
    return TEST.runInNewContext(context, { timeout: MAX_MS }) === true;
  } catch {
    return false;
  }
}

const TEST = new Script("regExp.test(name)");
