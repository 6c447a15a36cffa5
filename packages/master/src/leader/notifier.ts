/**
 * Puts the notices of the outbox into deliveries, one per channel that gathers what comes until it is sent, and runs a lane for each channel. A notice
 * leaves the outbox in the transaction that puts it into its deliveries, so it is in each exactly once. Whatever channels do, filing only ever writes to
 * the outbox. Etcd away: notices and deliveries wait there.
 */
import { AppError } from "fleetcron-shared/base/errors";
import type { Delivery, Notice } from "fleetcron-shared/model/notice";
import { absent, type Compare, type Op, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { openView } from "fleetcron-shared/store/view";
import { decode, encode } from "fleetcron-shared/wire/codec";
import { addNotice } from "../notify/deliveries.ts";
import type { Sender } from "../notify/sender.ts";
import { type DeliveryEntry, type Lane, startLane } from "./lane.ts";
import { type LeaderDeps, type LeaderService, leaderStep } from "./leader-deps.ts";
import { startLoop } from "./loop.ts";

export type NotifierOptions = {
  /** From the first notice to the message: what happens together goes together. */
  readonly gatherMs: number;
};
export const NOTIFIER_DEFAULTS: NotifierOptions = { gatherMs: 1000 };

type NoticeEntry = { readonly notice: Notice; readonly revision: Revision };

/** Of one transaction: notices, and channels that they go to. */
const MAX_NOTICES = 40;
const MAX_CHANNELS = 50;
const MAX_CHARS = 700_000;

export function startNotifier(deps: LeaderDeps & { send: Sender }, options: NotifierOptions = NOTIFIER_DEFAULTS): LeaderService {
  const { keys, clock, views, newId, term } = deps;
  const log = deps.log.child({ service: "notifier" });
  const outbox = openView<NoticeEntry>(deps, {
    prefix: keys.outbox,
    decode: (kv) => ({ notice: decode<Notice>(kv.key, kv.value), revision: kv.modRevision }),
  });
  const deliveries = openView<DeliveryEntry>(deps, {
    prefix: keys.deliveries,
    decode: (kv) => ({ delivery: decode<Delivery>(kv.key, kv.value), revision: kv.modRevision }),
  });
  for (const view of [outbox, deliveries]) view.synced.catch(() => {});
  const lanes = new Map<string, Lane>();

  function laneOf(channel: string): Lane {
    const known = lanes.get(channel);
    if (known !== undefined) return known;
    const lane = startLane({ ...deps, deliveries }, channel, options);
    lanes.set(channel, lane);
    return lane;
  }

  /** The notices of one transaction, and the deliveries as they are with them. */
  function gather(): { taken: [string, NoticeEntry][]; changed: Map<string, { before: DeliveryEntry | undefined; after: Delivery }> } {
    const open = new Map(
      [...deliveries.entries()].flatMap(([, entry]) => (entry.delivery.state === "open" ? [[entry.delivery.channel, entry]] : [])),
    );
    const taken: [string, NoticeEntry][] = [];
    const changed = new Map<string, { before: DeliveryEntry | undefined; after: Delivery }>();
    let chars = 0;
    for (const [key, entry] of outbox.entries()) {
      const { notice } = entry;
      chars += JSON.stringify(notice).length * notice.to.length;
      const channels = new Set([...changed.keys(), ...notice.to.map(({ channel }) => channel)]);
      if (taken.length > 0 && (taken.length >= MAX_NOTICES || channels.size > MAX_CHANNELS || chars > MAX_CHARS)) break;
      taken.push([key, entry]);
      for (const { channel } of notice.to) {
        const before = changed.has(channel) ? changed.get(channel)?.before : open.get(channel);
        const after = changed.get(channel)?.after ?? before?.delivery;
        changed.set(channel, { before, after: addNotice(after, notice, { channel, id: newId(), nowMs: clock.now() }) });
      }
    }
    return { taken, changed };
  }

  async function round(): Promise<void> {
    await Promise.all([outbox.synced, deliveries.synced]);
    const { taken, changed } = gather();
    if (taken.length === 0) return;
    const compares: Compare[] = taken.map(([key, { revision }]) => unchanged(key, revision));
    const then: Op[] = taken.map(([key]) => ({ op: "delete", key }));
    for (const [channel, { before, after }] of changed) {
      const key = keys.delivery(channel, after.id);
      compares.push(before === undefined ? absent(key) : unchanged(key, before.revision));
      then.push({ op: "put", key, value: encode(after) });
    }
    const result = await leaderStep(deps, "gather", { if: compares, then });
    if (!result.succeeded) throw new AppError("write/conflict", "a delivery was changed meanwhile");
    await Promise.all([outbox.reached(result.revision), deliveries.reached(result.revision)]);
    if (outbox.size > 0) sorter.kick();
  }

  const sorter = startLoop({ ...deps, log }, term.ended, round);
  const unsubscribe = [
    outbox.onChange(() => sorter.kick()),
    deliveries.onChange((changes) => {
      const isOpen = ({ delivery }: DeliveryEntry) => delivery.state === "open" || delivery.state === "sealed";
      deps.observe?.waiting([...deliveries.entries()].filter(([, entry]) => isOpen(entry)).length);
      for (const channel of new Set(changes.map(({ key }) => keys.parts(key)[1] ?? ""))) laneOf(channel).kick();
    }),
    // Whoever mends a channel need not wait for the next try.
    views.channels.onChange((changes) => {
      for (const { key } of changes) lanes.get(keys.parts(key)[1] ?? "")?.kick(true);
    }),
  ];
  return {
    async stop() {
      for (const end of unsubscribe) end();
      const loops = [sorter.stop(), ...[...lanes.values()].map((lane) => lane.stop())];
      await Promise.all([outbox.close(), deliveries.close(), ...loops]);
    },
  };
}
