/** What `fleetcron doctor` says of the history. Pure. */
import type { Info } from "../http/api-schema.ts";
import type { Check } from "./doctor-etcd.ts";
import { humanBytes } from "./human.ts";

export function checkHistory({ history }: Pick<Info, "history">): Check[] {
  if (history === undefined) return [];
  const { kind, where, state, error, facts, waiting = 0, held = 0, letGo = 0 } = history;
  const name = "history";
  if (kind === "off")
    return [{ level: "ok", name, text: "off: records and runs are kept as long as their jobs and pipelines retain them" }];
  const kept = facts === undefined ? "" : `; ${facts.records} records and ${facts.runs} runs, ${humanBytes(facts.bytes)}`;
  const since = facts?.oldestMs === undefined ? "" : `, since ${new Date(facts.oldestMs).toISOString()}`;
  const checks: Check[] = [];
  if (state === "ok") checks.push({ level: "ok", name, text: `${where}${kept}${since}` });
  else if (state === "away") {
    checks.push({
      level: "fail",
      name,
      text: `${error?.message ?? where}; ${waiting === 0 ? "nothing" : `${waiting} records`} in memory and ${held} in etcd wait for it; lists show what etcd holds`,
      todo: error?.hint ?? "look at the database and the way to it; what waits is stored as soon as it answers",
    });
  } else {
    checks.push({
      level: "warn",
      name,
      text: `${where} ${state === "opening" ? "is being opened" : `is being filled (${waiting} wait)`}${kept}`,
      todo: "look again in a minute",
    });
  }
  if (letGo > 0) {
    checks.push({
      level: "warn",
      name,
      text: `${letGo} records or runs were deleted from etcd before they could be archived, since this master started`,
      todo: "a history must not be away for so long; etcd cannot hold more",
    });
  }
  return checks;
}
