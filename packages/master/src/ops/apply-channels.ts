/** The channels among what `apply` makes so. They are written before the jobs that may name them, in one transaction. */
import { isDeepStrictEqual } from "node:util";
import { toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { type ChannelSpec, maskChannel, type StoredChannel } from "fleetcron-shared/model/channel";
import { absent, MAX_TXN_OPS, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { ApplyChange } from "../http/api-schema.ts";
import { type ChannelEntry, channelEntry } from "../views.ts";
import { storedChannel } from "./channels.ts";
import type { CheckedChannel } from "./file-checker-protocol.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { readKeys } from "./read-keys.ts";
import { settle } from "./settle.ts";
import { specDiff } from "./spec-diff.ts";

/** One channel's way from `before` to `after`; undefined when it stays the same. */
export type ChannelStep = { readonly name: string; readonly before: ChannelEntry | undefined; readonly after: StoredChannel | undefined };

export async function planChannels(deps: OpsDeps, channels: readonly CheckedChannel[]): Promise<ChannelStep[]> {
  if (channels.length > MAX_TXN_OPS)
    throw new AppError("input/too-large", `the files hold ${channels.length} channels; at most ${MAX_TXN_OPS} are applied at once`);
  const { keys } = deps;
  const found = await readKeys(
    deps.kv,
    channels.map(({ name }) => keys.channel(name)),
  );
  const now = toIso(deps.clock.now());
  return channels.map(({ name, spec }) => {
    const kv = found.get(keys.channel(name));
    const before = kv === undefined ? undefined : channelEntry(kv);
    const same = before !== undefined && isDeepStrictEqual(before.stored.spec, spec);
    return { name, before, after: same ? undefined : storedChannel(name, spec, before?.stored, now) };
  });
}

/** The revision of the write, undefined when nothing changes. Throws `write/conflict`. */
export async function writeChannels(deps: OpsDeps, steps: readonly ChannelStep[]): Promise<Revision | undefined> {
  const changes = steps.flatMap(({ name, before, after }) =>
    after === undefined ? [] : [{ key: deps.keys.channel(name), before, after }],
  );
  if (changes.length === 0) return undefined;
  const { succeeded, revision } = await settle(deps.kv, {
    if: changes.map(({ key, before }) => (before === undefined ? absent(key) : unchanged(key, before.revision))),
    then: changes.map(({ key, after }) => ({ op: "put", key, value: encode(after) })),
  });
  if (!succeeded) throw new AppError("write/conflict", "a channel was changed meanwhile; nothing was written", { hint: "apply again" });
  await deps.views.channels.reached(revision);
  return revision;
}

export function describeChannel({ name, before, after }: ChannelStep, written: Revision | undefined): ApplyChange {
  const revision = after === undefined ? before?.revision : written;
  const diff = after === undefined ? [] : maskedDiff(before?.stored.spec, after.spec);
  return {
    kind: "channel",
    key: name,
    action: after === undefined ? "unchanged" : before === undefined ? "created" : "updated",
    ...(diff.length === 0 ? {} : { diff }),
    ...(revision === undefined ? {} : { revision }),
  };
}

/** Secrets are masked on both sides; that one has changed is told all the same. */
function maskedDiff(before: ChannelSpec | undefined, after: ChannelSpec): string[] {
  const diff = specDiff(before === undefined ? undefined : maskChannel(before), maskChannel(after));
  return diff.length === 0 ? ["~ a secret value"] : diff;
}
