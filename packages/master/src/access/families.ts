/**
 * What the keys of etcd mean for access, family by family: which group a key belongs to, which role may change it through REST, and what a change is called
 * in the audit log. A family that is not listed belongs to the cluster and is an operator's: a new one is never open by mistake.
 */
import type { Role } from "fleetcron-shared/model/facts";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";

/** `cluster`: of no group, hidden from nobody who may ask for it, changed only without a limit to groups. `open`: the book-keeping of the API itself. */
export type Owner = { readonly group: string } | "cluster" | "open";

export type Family = {
  readonly role: Role;
  /** The noun of the audit log; absent: a detail of a change that another key tells. */
  readonly audit?: string;
  owner(parts: readonly string[], value: () => Readonly<Record<string, unknown>>): Owner;
};

const byPart =
  (at: number): Family["owner"] =>
  (parts) => ({ group: parts[at] ?? "" });
const cluster: Family["owner"] = () => "cluster";
const open: Family["owner"] = () => "open";
/** By a field of the value; keys that are to be deleted unseen belong to the cluster. */
const byValue =
  (read: (value: Readonly<Record<string, unknown>>) => unknown): Family["owner"] =>
  (_, value) => {
    const group = read(value());
    return typeof group === "string" ? { group } : "cluster";
  };

const FAMILIES: Readonly<Record<string, Family>> = {
  jobs: { role: "operator", audit: "job", owner: byPart(1) },
  stats: { role: "operator", owner: byPart(1) },
  dispatch: { role: "operator", owner: byPart(2) },
  proc: { role: "operator", owner: byPart(2) },
  claims: { role: "operator", owner: byPart(1) },
  locks: { role: "operator", owner: byPart(1) },
  records: { role: "operator", owner: byPart(1) },
  inbox: { role: "operator", owner: byValue((value) => value.jobGroup) },
  // Kills name an execution, which was found before within the groups; logs are looked at.
  orders: {
    role: "operator",
    audit: "order",
    owner: (_, value) => {
      const { type, group } = value();
      if (type === "kill" || type === "log") return "open";
      return typeof group === "string" ? { group } : "cluster";
    },
  },
  pipelines: { role: "operator", audit: "pipeline", owner: byPart(1) },
  streaks: { role: "operator", owner: byPart(1) },
  runs: { role: "operator", audit: "run", owner: byPart(1) },
  plans: { role: "operator", owner: byPart(1) },
  ticks: { role: "operator", owner: byPart(1) },
  hooks: { role: "operator", owner: byPart(1) },
  unfinished: { role: "operator", owner: byValue((value) => value.group) },
  requests: { role: "operator", audit: "run", owner: byValue((value) => (value.pipeline as { group?: unknown } | undefined)?.group) },
  answers: { role: "viewer", owner: open },
  once: { role: "viewer", owner: open },
  secrets: { role: "admin", audit: "secret", owner: byPart(1) },
  boxes: { role: "operator", owner: byPart(2) },
  channels: { role: "admin", audit: "channel", owner: cluster },
  deliveries: { role: "operator", audit: "delivery", owner: cluster },
  globals: { role: "operator", audit: "global", owner: cluster },
  nodes: { role: "operator", audit: "node", owner: cluster },
  conditions: { role: "operator", owner: cluster },
  tokens: { role: "admin", audit: "token", owner: cluster },
};

const OTHER: Family = { role: "operator", audit: "other", owner: cluster };

/** Of a key under the prefix; `value`: its text where that is known. */
export function familyOf(
  keys: Keys,
  key: string,
  value?: string,
): { name: string; family: Family; parts: readonly string[]; owner: Owner } {
  const parts = keys.parts(key);
  const name = parts[0] ?? "";
  const family = Object.hasOwn(FAMILIES, name) ? (FAMILIES[name] ?? OTHER) : OTHER;
  const decoded = () => (value === undefined ? {} : (tryDecode<Readonly<Record<string, unknown>> & { readonly v: 1 }>(key, value) ?? {}));
  return { name, family, parts, owner: family.owner(parts, decoded) };
}

/** Whether somebody who reaches only `groups` may see the key. */
export function isVisible(keys: Keys, groups: readonly string[], key: string, value?: string): boolean {
  const { owner } = familyOf(keys, key, value);
  return typeof owner === "string" || groups.includes(owner.group);
}
