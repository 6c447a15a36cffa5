/** Channels: find, list, put, delete; and the check that what rules name is there. Views of them are masked. */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError, type Issue } from "fleetcron-shared/base/errors";
import { suggestHint } from "fleetcron-shared/base/suggest";
import { toIssue } from "fleetcron-shared/base/zod-issues";
import { type ChannelSpec, kindsOf, maskChannel, type StoredChannel } from "fleetcron-shared/model/channel";
import { checkNamedChannel } from "fleetcron-shared/model/channel-file";
import type { Delivery } from "fleetcron-shared/model/notice";
import type { NotifyRule } from "fleetcron-shared/model/notify-rules";
import { absent, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { ChannelPage, ChannelView } from "../http/api-schema-channels.ts";
import { type ChannelEntry, channelEntry } from "../views.ts";
import { readDeliveries } from "./deliveries.ts";
import type { NotifyLines } from "./file-checker-protocol.ts";
import { checkRevision, conditionOf } from "./if-revision.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { pageByKey } from "./page.ts";
import { putUnder, settle } from "./settle.ts";

type ChannelDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock">;

/** As etcd has it now; throws `channel/not-found`. */
export async function findChannel(deps: Pick<ChannelDeps, "kv" | "keys" | "views">, name: string): Promise<ChannelEntry> {
  const kv = await deps.kv.get(deps.keys.channel(name));
  if (kv !== undefined) return channelEntry(kv);
  throw new AppError("channel/not-found", `there is no channel ${name}`, { hint: namesHint(deps, name) });
}

export async function listChannels(deps: ChannelDeps, query: Parameters<typeof pageByKey>[2]): Promise<ChannelPage> {
  const { items, ...rest } = pageByKey(
    [...deps.views.channels.entries()].map(([, entry]) => entry),
    ({ stored }) => stored.name,
    query,
  );
  const deliveries = await readDeliveries(deps, undefined);
  return { ...rest, items: items.map((entry) => channelView(entry, deliveries)) };
}

export async function showChannel(deps: ChannelDeps, name: string): Promise<ChannelView> {
  const [entry, deliveries] = await Promise.all([findChannel(deps, name), readDeliveries(deps, name)]);
  return channelView(entry, deliveries);
}

/** Creates or replaces the channel. Throws `input/invalid`, `write/conflict`. */
export async function putChannel(deps: ChannelDeps, name: string, value: unknown, ifRevision?: Revision): Promise<ChannelView> {
  const { spec, issues } = checkNamedChannel(name, value);
  if (spec === undefined) {
    const all = issues.map((issue) => toIssue(issue, ["channels", name]));
    throw new AppError("input/invalid", `the channel ${name} is not accepted`, { issues: all });
  }
  const key = deps.keys.channel(name);
  const before = await deps.kv.get(key);
  checkRevision(`channel ${name}`, ifRevision, before?.modRevision ?? 0);
  const stored = storedChannel(name, spec, before === undefined ? undefined : channelEntry(before).stored, toIso(deps.clock.now()));
  const revision = await putUnder(deps.kv, before === undefined ? absent(key) : unchanged(key, before.modRevision), key, encode(stored));
  if (revision === undefined) throw new AppError("write/conflict", `channel ${name} was changed meanwhile`, { hint: "repeat the change" });
  await deps.views.channels.reached(revision);
  return showChannel(deps, name);
}

/** Throws `channel/in-use` while rules name it. */
export async function deleteChannel(deps: ChannelDeps, name: string, ifRevision?: Revision): Promise<string> {
  const { revision: seen } = await findChannel(deps, name);
  checkRevision(`channel ${name}`, ifRevision, seen);
  const jobs = [...deps.views.jobs.entries()].filter(([, { job }]) => job.notify.some(({ to }) => to.includes(name)));
  const pipelines = [...deps.views.pipelines.entries()].filter(([, { stored }]) => stored.spec.notify?.some(({ to }) => to.includes(name)));
  const users = [...jobs.map(([, { job }]) => job.key), ...pipelines.map(([, { stored }]) => `pipeline ${stored.group}/${stored.id}`)];
  if (users.length > 0) {
    const shown = users.length > 5 ? `${users.slice(0, 5).join(", ")} and ${users.length - 5} more` : users.join(", ");
    throw new AppError("channel/in-use", `channel ${name} is named by ${shown}`, { hint: "take it out of their `notify` first" });
  }
  const key = deps.keys.channel(name);
  const { succeeded, revision } = await settle(deps.kv, { if: [conditionOf(key, ifRevision)], then: [{ op: "delete", key }] });
  if (!succeeded) checkRevision(`channel ${name}`, ifRevision, (await findChannel(deps, name)).revision);
  await deps.views.channels.reached(revision);
  return name;
}

/** What is stored for a spec, made from what is stored now. */
export function storedChannel(name: string, spec: ChannelSpec, before: StoredChannel | undefined, now: string): StoredChannel {
  return { v: 1, name, createdAt: before?.createdAt ?? now, updatedAt: now, spec };
}

/** An issue for each channel that rules name and that is not there; `coming`: channels that are about to be. `path` leads to the rules, `at` is where a file names them. */
export async function missingChannels(
  deps: Pick<ChannelDeps, "kv" | "keys" | "views">,
  users: readonly { readonly path: string; readonly rules: readonly NotifyRule[] | undefined; readonly at?: NotifyLines | undefined }[],
  coming: readonly string[] = [],
): Promise<Issue[]> {
  const there = new Map<string, boolean>(coming.map((name) => [name, true]));
  const issues: Issue[] = [];
  for (const { path, rules, at } of users) {
    for (const [index, rule] of (rules ?? []).entries()) {
      for (const name of rule.to) {
        const key = deps.keys.channel(name);
        const known = there.get(name) ?? (deps.views.channels.get(key) !== undefined || (await deps.kv.get(key)) !== undefined);
        there.set(name, known);
        if (known) continue;
        const where = at === undefined ? {} : { file: at.file, line: at.lines[index] ?? 1 };
        const message = `there is no channel ${name}`;
        issues.push({ ...where, path: `${path}.notify[${index}].to`, message, hint: namesHint(deps, name, coming) });
      }
    }
  }
  return issues;
}

function channelView({ stored, revision }: ChannelEntry, deliveries: readonly Delivery[]): ChannelView {
  const { name, createdAt, updatedAt, spec } = stored;
  const own = deliveries.filter(({ channel }) => channel === name);
  const newest = own.filter(({ last }) => last !== undefined).sort((a, b) => ((a.sealedAt ?? "") < (b.sealedAt ?? "") ? 1 : -1))[0];
  return {
    ...{ name, kind: kindsOf(spec)[0] ?? "webhook", revision, createdAt, updatedAt, spec: maskChannel(spec) },
    waiting: own.filter(({ state }) => state === "open" || state === "sealed").length,
    failed: own.filter(({ state }) => state === "failed").length,
    last: newest?.last ?? null,
  };
}

function namesHint(deps: Pick<ChannelDeps, "views">, name: string, coming: readonly string[] = []): string {
  const names = [...new Set([...[...deps.views.channels.entries()].map(([, { stored }]) => stored.name), ...coming])].sort();
  return names.length === 0 ? "there are no channels yet; `channels:` in a job file makes some" : suggestHint(name, names);
}
