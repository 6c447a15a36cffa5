/**
 * Which rules speak when something has happened, and the streak of failures that they go by. Pure. Each streak is told once by
 * `finalFailure`, and its end only by rules that have told of it.
 */
import { hash32 } from "fleetcron-shared/base/hash";
import type { Failing } from "fleetcron-shared/model/facts";
import { FAILURE_EVENTS, type NotifyEvent, type NotifyRule } from "fleetcron-shared/model/notify-rules";

/** What has happened, of a job or of a pipeline. */
export type Happening = {
  /** What it is beside `failure`, `finalFailure`, `success` and `recovery`, which follow from `result`. */
  readonly also: readonly NotifyEvent[];
  /** `failure`: another attempt follows; `none`: nothing ran. */
  readonly result: "success" | "failure" | "finalFailure" | "none";
};

export type Recipient = { readonly channel: string; readonly mention: readonly string[] };
export type Judgement = {
  /** Undefined: nothing fails any more. */
  readonly failing: Failing | undefined;
  /** What is told, the most important first; empty when nobody is. */
  readonly events: readonly NotifyEvent[];
  readonly to: readonly Recipient[];
};

/** The order in which events give a notice its title. */
const IMPORTANCE: readonly NotifyEvent[] = [
  ...(["recovery", "finalFailure", "lost", "timeout", "failure", "taskFailed", "missed", "slow"] as const),
  ...(["waiting", "cancelled", "success", "every"] as const),
];
/** Behind a rule's hash in `told`: it has told of a final failure, too. */
const FINAL = "!";

export function judge(rules: readonly NotifyRule[], happening: Happening, before: Failing | undefined): Judgement {
  const failing = advance(happening, before);
  const told = new Set(before?.told);
  const events = new Set<NotifyEvent>();
  const to = new Map<string, Set<string>>();
  for (const rule of rules) {
    const key = hash32(JSON.stringify(rule)).toString(36);
    const spoken = rule.on.filter((event) => speaks(rule, key, event, happening, before, failing));
    if (spoken.length === 0) continue;
    for (const event of spoken) events.add(event);
    for (const channel of rule.to) to.set(channel, new Set([...(to.get(channel) ?? []), ...(rule.mention ?? [])]));
    if (spoken.some((event) => FAILURE_EVENTS.includes(event))) told.add(key);
    if (spoken.includes("finalFailure")) told.add(key + FINAL);
  }
  return {
    failing: failing === undefined || told.size === 0 ? failing : { ...failing, told: [...told] },
    events: IMPORTANCE.filter((event) => events.has(event)),
    to: [...to].map(([channel, mention]) => ({ channel, mention: [...mention] })),
  };
}

function advance({ result }: Happening, before: Failing | undefined): Failing | undefined {
  if (result === "success") return undefined;
  if (result === "none") return before;
  return { final: (before?.final ?? 0) + (result === "finalFailure" ? 1 : 0), attempts: (before?.attempts ?? 0) + 1 };
}

function speaks(
  rule: NotifyRule,
  key: string,
  event: NotifyEvent,
  { also, result }: Happening,
  before: Failing | undefined,
  failing: Failing | undefined,
): boolean {
  const told = before?.told ?? [];
  switch (event) {
    case "success":
      return result === "success";
    case "failure":
      return (result === "failure" || result === "finalFailure") && (failing?.attempts ?? 0) >= (rule.after ?? 1);
    case "finalFailure":
      return result === "finalFailure" && (failing?.final ?? 0) >= (rule.after ?? 1) && !told.includes(key + FINAL);
    case "recovery":
      return result === "success" && (rule.on.some((one) => FAILURE_EVENTS.includes(one)) ? told.includes(key) : told.length > 0);
    case "every":
      return true;
    default:
      return also.includes(event);
  }
}
