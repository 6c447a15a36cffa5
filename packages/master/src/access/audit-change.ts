/** A write to etcd in the words of the audit log: what was changed, how, and what it was before and after, without anything secret. Pure. */

import type { AuditChange } from "fleetcron-shared/model/access";
import type { StoredChannel } from "fleetcron-shared/model/channel";
import { maskChannel } from "fleetcron-shared/model/channel";
import type { NodeInfo, Order, TokenInfo } from "fleetcron-shared/model/facts";
import type { StoredJob } from "fleetcron-shared/model/job-spec";
import type { RunRequest } from "fleetcron-shared/model/pipeline/request";
import type { RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import type { SecretInfo } from "fleetcron-shared/model/secret";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import { familyOf } from "./families.ts";

/** A key's text before and after; undefined where it is not there. */
export type Write = { readonly key: string; readonly before: string | undefined; readonly after: string | undefined };

/** Of one value; larger ones are left out and marked so. */
const MAX_VALUE = 8 * 1024;
/** Of one entry: a transaction may change a hundred jobs. */
const MAX_ENTRY = 40 * 1024;

/** The changes that `writes` are, those of one kind and key together; `more`: how many found no room. */
export function auditChanges(keys: Keys, writes: readonly Write[]): { changes: AuditChange[]; more: number } {
  const all: AuditChange[] = [];
  for (const write of writes) {
    const change = changeOf(keys, write);
    if (change === undefined) continue;
    const like = all.findIndex(({ kind, key, action }) => kind === change.kind && key === change.key && action === change.action);
    const held = all[like];
    if (held === undefined) all.push(change);
    // A run on many nodes is many orders.
    else all[like] = { ...held, after: [held.after, change.after].flat() };
  }
  const changes: AuditChange[] = [];
  let bytes = 0;
  for (const change of all) {
    const kept = capped(change);
    bytes += Buffer.byteLength(JSON.stringify(kept));
    if (bytes > MAX_ENTRY) break;
    changes.push(kept);
  }
  return { changes, more: all.length - changes.length };
}

function capped({ before, after, ...change }: AuditChange): AuditChange {
  const isSmall = (value: unknown) => value === undefined || Buffer.byteLength(JSON.stringify(value)) <= MAX_VALUE;
  const cut = !isSmall(before) || !isSmall(after);
  return {
    ...change,
    ...(before === undefined || !isSmall(before) ? {} : { before }),
    ...(after === undefined || !isSmall(after) ? {} : { after }),
    ...(cut ? { cut } : {}),
  };
}

function changeOf(keys: Keys, { key, before, after }: Write): AuditChange | undefined {
  const { family, parts } = familyOf(keys, key, after ?? before);
  const kind = family.audit;
  if (kind === undefined) return undefined;
  const [name, ...rest] = parts;
  const read = <T extends { readonly v: 1 }>(text: string | undefined) => (text === undefined ? undefined : tryDecode<T>(key, text));
  const plain = (action: string, show: (value: never) => unknown): AuditChange => {
    const [was, is] = [read(before), read(after)].map((value) => (value === undefined ? undefined : show(value as never)));
    return { kind, key: rest.join("/"), action, ...(was === undefined ? {} : { before: was }), ...(is === undefined ? {} : { after: is }) };
  };
  const action = before === undefined ? "created" : after === undefined ? "deleted" : "updated";
  switch (name) {
    case "jobs":
      return plain(jobAction(read(before), read(after)) ?? action, (job: StoredJob) => job.spec);
    case "pipelines":
      return plain(action, ({ spec }: { spec: unknown }) => spec);
    case "secrets":
      return plain(action, ({ version, target }: SecretInfo) => ({ version, target }));
    case "channels":
      return plain(action, ({ spec }: StoredChannel) => maskChannel(spec));
    case "globals":
      return plain(action, ({ value }: { value: string }) => value);
    case "nodes":
      return plain(nodeAction(read(before), read(after)), ({ apiLabels, drain }: NodeInfo) => ({
        apiLabels,
        ...(drain === undefined ? {} : { drain }),
      }));
    case "tokens":
      return plain(read<TokenInfo>(after)?.revokedAt === undefined ? action : "revoked", tokenFacts);
    case "deliveries":
      return { kind, key: rest.join("/"), action: "retried" };
    case "runs":
      return plain("started", ({ trigger, labels }: RunDocument) => ({ trigger, labels }));
    case "requests":
      return requestChange(read<RunRequest>(after));
    case "orders":
      return orderChange(rest[0] ?? "", read<Order>(after));
    default:
      return { kind, key: parts.join("/"), action };
  }
}

function jobAction(before: StoredJob | undefined, after: StoredJob | undefined): string | undefined {
  if (before === undefined || after === undefined || (before.spec.pause ?? false) === (after.spec.pause ?? false)) return undefined;
  return after.spec.pause === true ? "paused" : "resumed";
}

function nodeAction(before: NodeInfo | undefined, after: NodeInfo | undefined): string {
  if (after === undefined) return "forgotten";
  if ((before?.drain === undefined) === (after.drain === undefined)) return "labelled";
  return after.drain === undefined ? "undrained" : "drained";
}

/** All but the hash. */
function tokenFacts({ role, groups, expiresAt, revokedAt }: TokenInfo) {
  return {
    role,
    ...(groups === undefined ? {} : { groups }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(revokedAt === undefined ? {} : { revokedAt }),
  };
}

function requestChange(request: RunRequest | undefined): AuditChange | undefined {
  if (request === undefined) return undefined;
  const { event, run, pipeline } = request;
  const key = pipeline === undefined ? run : `${pipeline.group}/${pipeline.id}/${run}`;
  if (event.type !== "decide") {
    const { type, ...after } = event;
    return { kind: "run", key, action: type, after };
  }
  const words = { audit: { yes: "approved", no: "denied" }, confirm: { yes: "confirmed", no: "rejected" } } as const;
  return { kind: "run", key, action: words[event.kind][event.verdict], after: { task: event.task, comment: event.comment } };
}

/** Values of the environment are not told: some are passwords. */
function orderChange(node: string, order: Order | undefined): AuditChange | undefined {
  if (order === undefined || order.type === "log" || order.type === "withdraw") return undefined;
  if (order.type === "kill") return { kind: "execution", key: order.execution, action: "killed", after: { node, reason: order.reason } };
  const of = { kind: "job", key: `${order.group}/${order.job}` };
  if (order.type === "reset") return { ...of, action: "reset", after: { node } };
  const env = Object.keys(order.env ?? {});
  return { ...of, action: "run", after: { node, execution: order.execution, ...(env.length === 0 ? {} : { env }) } };
}
