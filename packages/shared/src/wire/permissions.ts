/** The least that the programs need of etcd, as roles: a master everything under the prefix, an agent what carries its node id, the claims, the locks and the log chunks. */
import type { Keys } from "./keys.ts";

/** `prefix`: all keys that begin with `key`; else that one key. */
export type Permission = { readonly type: "read" | "readwrite"; readonly key: string; readonly prefix: boolean };
export type EtcdRole = { readonly name: string; readonly permissions: readonly Permission[] };

/** The prefix in the names of roles keeps clusters apart that share an etcd. */
export function masterRole(keys: Keys): EtcdRole {
  return { name: `${roleBase(keys)}-master`, permissions: [{ type: "readwrite", key: keys.all, prefix: true }] };
}

export function agentRole(keys: Keys, node: string): EtcdRole {
  const readwrite = (key: string, prefix: boolean): Permission => ({ type: "readwrite", key, prefix });
  const read = (key: string, prefix: boolean): Permission => ({ type: "read", key, prefix });
  return {
    name: `${roleBase(keys)}-agent-${node}`,
    permissions: [
      readwrite(keys.node(node), false),
      // It is watched as a prefix.
      read(keys.node(node), true),
      readwrite(keys.alive(node), false),
      readwrite(keys.procsOf(node), true),
      readwrite(keys.inboxOf(node), true),
      readwrite(keys.claims, true),
      readwrite(keys.locks, true),
      readwrite(keys.logs, true),
      read(keys.dispatchesOf(node), true),
      read(keys.ordersOf(node), true),
      read(keys.boxesOf(node), true),
      read(keys.meta, false),
    ],
  };
}

function roleBase({ prefix }: Keys): string {
  return prefix.slice(1).replaceAll("/", "-");
}
