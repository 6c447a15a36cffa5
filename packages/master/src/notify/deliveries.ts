/** The life of deliveries, step by step. Pure: leader/notifier.ts and leader/lane.ts store each step before the next one is made. */
import { backoffMs } from "fleetcron-shared/base/backoff";
import { type EpochMs, fromIso, toIso } from "fleetcron-shared/base/clock";
import type { Random } from "fleetcron-shared/base/random";
import type { Delivery, DeliveryItem, Notice } from "fleetcron-shared/model/notice";
import type { Sent } from "./send.ts";

const MAX_ITEMS = 50;
/** Values in etcd stay under 64 KiB. */
const MAX_CHARS = 40_000;
const MAX_MENTIONS = 50;
/** Two, so that one that its target cannot take does not hold up the next. */
const MAX_SEALED = 2;
const RETRY = { firstMs: 5000, maxMs: 3_600_000 };
export const MAX_TRIES = 40;
const DAY_MS = 86_400_000;
/** Delivered ones that are kept to be looked at, of each channel. */
const KEPT_DELIVERED = 20;

/** `open` (or a new delivery `id`) with one more notice. Of the same kind about the same subject only the newest is kept, and counted. */
export function addNotice(open: Delivery | undefined, notice: Notice, at: { channel: string; id: string; nowMs: EpochMs }): Delivery {
  const { v: _, to, ...rest } = notice;
  const mention = to.find(({ channel }) => channel === at.channel)?.mention ?? [];
  const base: Delivery = open ?? {
    v: 1,
    id: at.id,
    channel: at.channel,
    state: "open",
    createdAt: toIso(at.nowMs),
    items: [],
    omitted: 0,
    tries: 0,
  };
  const alike = base.items.findIndex((item) => kindOf(item.notice) === kindOf(rest));
  const known = base.items[alike];
  if (known !== undefined) {
    const newest = { notice: rest, mention: [...new Set([...known.mention, ...mention])].slice(0, MAX_MENTIONS), count: known.count + 1 };
    const items = base.items.with(alike, newest);
    return { ...base, items: isTooLarge(items) ? base.items.with(alike, { ...known, count: known.count + 1 }) : items };
  }
  const items = [...base.items, { notice: rest, mention, count: 1 }];
  const full = items.length > MAX_ITEMS || isTooLarge(items);
  return full ? { ...base, omitted: base.omitted + 1 } : { ...base, items };
}

function isTooLarge(items: readonly DeliveryItem[]): boolean {
  return JSON.stringify(items).length > MAX_CHARS;
}

function kindOf({ subject, events, severity }: DeliveryItem["notice"]): string {
  return [subject.kind, subject.group, subject.id, subject.run, subject.task, events[0], severity].join(" ");
}

/** What a channel is to do now. */
export type LaneStep =
  | { readonly type: "send"; readonly delivery: Delivery }
  | { readonly type: "seal"; readonly delivery: Delivery }
  /** Undefined: until something changes. */
  | { readonly type: "wait"; readonly untilMs: EpochMs | undefined };

export type LanePace = {
  readonly nowMs: EpochMs;
  /** From one message to the next. */
  readonly everyMs: number;
  /** What happens together goes together: from the first notice to the message. */
  readonly gatherMs: number;
  /** What waits for another try is tried now. */
  readonly eager: boolean;
};

/** The next step of one channel with these deliveries. */
export function nextStep(deliveries: readonly Delivery[], { nowMs, everyMs, gatherMs, eager }: LanePace): LaneStep {
  const sealed = deliveries.filter(({ state }) => state === "sealed").sort((a, b) => dueOf(a) - dueOf(b));
  const [first] = sealed;
  if (first !== undefined && (eager || dueOf(first) <= nowMs)) return { type: "send", delivery: first };
  const untils: number[] = first === undefined ? [] : [dueOf(first)];
  const open = deliveries.find(({ state }) => state === "open");
  if (open !== undefined && sealed.length < MAX_SEALED) {
    const before = Math.max(...deliveries.map(({ sealedAt, endedAt }) => Math.max(msOf(sealedAt), msOf(endedAt))));
    const openAt = Math.max(msOf(open.createdAt) + gatherMs, before + everyMs);
    if (openAt <= nowMs) return { type: "seal", delivery: open };
    untils.push(openAt);
  }
  const ended = deliveries.filter(({ state }) => state === "failed" || state === "delivered");
  untils.push(...ended.map(({ endedAt }) => msOf(endedAt) + DAY_MS + 1));
  return { type: "wait", untilMs: untils.length === 0 ? undefined : Math.min(...untils) };
}

/** No further notice gets in. */
export function sealed(delivery: Delivery, nowMs: EpochMs): Delivery {
  return { ...delivery, state: "sealed", sealedAt: toIso(nowMs), nextAt: toIso(nowMs) };
}

/** What a try has made of it. Given up after 40 tries or a day, or at once when its target says that it will never take it. */
export function tried(deps: { random: Pick<Random, "next"> }, delivery: Delivery, sent: Sent, nowMs: EpochMs): Delivery {
  const { nextAt: _, ...rest } = delivery;
  const tries = delivery.tries + 1;
  const last = sent.hint === undefined ? sent.text : `${sent.text} (${sent.hint})`;
  const ended = { ...rest, tries, last, endedAt: toIso(nowMs) };
  if (sent.ok) return { ...ended, state: "delivered" };
  const waitMs = Math.max(backoffMs(deps, RETRY, tries), sent.retryAfterMs ?? 0);
  const tooLate = nowMs + waitMs > msOf(delivery.sealedAt) + DAY_MS;
  if (sent.final === true || tries >= MAX_TRIES || tooLate) return { ...ended, state: "failed" };
  return { ...rest, tries, last, nextAt: toIso(nowMs + waitMs) };
}

/** A failed one, to be sent again under its id. */
export function revived(delivery: Delivery, nowMs: EpochMs): Delivery {
  const { endedAt: _, ...rest } = delivery;
  return sealed({ ...rest, tries: 0 }, nowMs);
}

/** The ended ones that need not be kept any longer: a day is over, or 20 newer ones were delivered. */
export function outdated(deliveries: readonly Delivery[], nowMs: EpochMs): readonly Delivery[] {
  const newest = deliveries.filter(({ state }) => state === "delivered").sort((a, b) => msOf(b.endedAt) - msOf(a.endedAt));
  const beyond = new Set(newest.slice(KEPT_DELIVERED));
  return deliveries.filter((one) => one.endedAt !== undefined && (beyond.has(one) || msOf(one.endedAt) + DAY_MS < nowMs));
}

function dueOf({ nextAt }: Delivery): EpochMs {
  return msOf(nextAt);
}

function msOf(time: string | undefined): EpochMs {
  return time === undefined ? 0 : (fromIso(time) ?? 0);
}
