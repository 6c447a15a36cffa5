/**
 * One channel's way out: seals what has gathered, sends it, notes what came of it; one try at a time, and no other channel waits for it. A delivery
 * is sealed in etcd before its first try and noted after each, so a leader that dies between leaves it to be sent again under the same id. Etcd away:
 * nothing is sent, because nobody could note it.
 */
import { parseDuration } from "fleetcron-shared/base/duration";
import { AppError } from "fleetcron-shared/base/errors";
import { CHANNEL_DEFAULTS } from "fleetcron-shared/model/channel";
import type { Delivery } from "fleetcron-shared/model/notice";
import { type Op, type Revision, unchanged } from "fleetcron-shared/store/kv";
import type { View } from "fleetcron-shared/store/view";
import { encode } from "fleetcron-shared/wire/codec";
import { passing, type Step } from "../kill-points.ts";
import { nextStep, outdated, sealed, tried } from "../notify/deliveries.ts";
import type { Sent } from "../notify/send.ts";
import type { Sender } from "../notify/sender.ts";
import { firstOf } from "./first-of.ts";
import { type LeaderDeps, leaderStep } from "./leader-deps.ts";
import { type Loop, startLoop } from "./loop.ts";

export type DeliveryEntry = { readonly delivery: Delivery; readonly revision: Revision };

export type LaneDeps = LeaderDeps & { readonly send: Sender; readonly deliveries: View<DeliveryEntry> };
export type Lane = Pick<Loop, "stop"> & {
  /** `eager`: what waits for another try is tried now. */
  kick(eager?: boolean): void;
};

const MAX_DELETES = 100;

export function startLane(deps: LaneDeps, channel: string, options: { gatherMs: number }): Lane {
  const { keys, clock, views, deliveries } = deps;
  const log = deps.log.child({ service: "notifier", channel });
  let disarm = () => {};
  let eager = false;

  function own(): DeliveryEntry[] {
    const prefix = keys.deliveriesOf(channel);
    return [...deliveries.entries()].flatMap(([key, entry]) => (key.startsWith(prefix) ? [entry] : []));
  }

  async function put(step: Step, { delivery, revision }: DeliveryEntry, next: Delivery): Promise<void> {
    const key = keys.delivery(channel, delivery.id);
    const result = await leaderStep(deps, step, { if: [unchanged(key, revision)], then: [{ op: "put", key, value: encode(next) }] });
    if (!result.succeeded) throw new AppError("write/conflict", "a delivery was changed meanwhile");
    await deliveries.reached(result.revision);
  }

  async function tidy(all: readonly DeliveryEntry[]): Promise<void> {
    const old = firstOf(
      outdated(
        all.map(({ delivery }) => delivery),
        clock.now(),
      ),
      MAX_DELETES,
    );
    if (old.length === 0) return;
    const then = old.map(({ id }): Op => ({ op: "delete", key: keys.delivery(channel, id) }));
    await deliveries.reached((await leaderStep(deps, "forget", { then })).revision);
  }

  async function trySending(entry: DeliveryEntry, signal: AbortSignal): Promise<void> {
    const { delivery } = entry;
    const spec = views.channels.get(keys.channel(channel))?.stored.spec;
    const sent: Sent =
      spec === undefined
        ? { ok: false, text: `there is no channel ${channel}`, code: "channel/not-found", tookMs: 0 }
        : await unless(
            signal,
            passing(deps.passPoint, ["send"], () => deps.send(spec, delivery)),
          );
    const next = tried(deps, delivery, sent, clock.now());
    deps.observe?.tried(sent.ok ? "delivered" : next.state === "failed" ? "failed" : "again");
    const fields = { delivery: delivery.id, tries: next.tries, tookMs: sent.tookMs, answer: sent.text };
    if (next.state === "failed") log.error(fields, "notification given up");
    else if (sent.ok) log.info(fields, "notification delivered");
    else log.warn({ ...fields, nextAt: next.nextAt }, "notification not delivered, trying again");
    await put("note", entry, next);
  }

  async function round(signal: AbortSignal): Promise<void> {
    await Promise.all([deliveries.synced, views.channels.synced]);
    disarm();
    while (!signal.aborted) {
      const all = own();
      await tidy(all);
      const wanted = views.channels.get(keys.channel(channel))?.stored.spec.atMostEvery;
      const everyMs = wanted === undefined ? CHANNEL_DEFAULTS.atMostEveryMs : (parseDuration(wanted) ?? CHANNEL_DEFAULTS.atMostEveryMs);
      const nowMs = clock.now();
      const step = nextStep(
        all.map(({ delivery }) => delivery),
        { nowMs, everyMs, gatherMs: options.gatherMs, eager },
      );
      eager = false;
      if (step.type === "wait") {
        if (step.untilMs !== undefined) disarm = clock.after(Math.max(1, step.untilMs - nowMs), () => loop.kick());
        return;
      }
      const entry = all.find(({ delivery }) => delivery === step.delivery);
      if (entry === undefined || !deps.term.trusted()) return;
      if (step.type === "seal") await put("seal", entry, sealed(entry.delivery, nowMs));
      else await trySending(entry, signal);
    }
  }

  const loop = startLoop({ ...deps, log }, deps.term.ended, round);
  return {
    kick(asked = false) {
      eager ||= asked;
      loop.kick();
    },
    async stop() {
      disarm();
      await loop.stop();
      disarm();
    },
  };
}

/** What `work` resolves with; rejects as soon as the term is over: whoever leads next sends it again. */
async function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const end = () => reject(new AppError("etcd/lease-gone", "this master leads no longer"));
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  try {
    return await Promise.race([work, over]);
  } finally {
    signal.removeEventListener("abort", end);
  }
}
