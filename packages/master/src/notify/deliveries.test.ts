import test from "ava";
import { fromIso, toIso } from "fleetcron-shared/base/clock";
import { type Delivery, type Notice, noticeCount } from "fleetcron-shared/model/notice";
import { addNotice, type LanePace, MAX_TRIES, nextStep, outdated, revived, sealed, tried } from "./deliveries.ts";
import type { Sent } from "./send.ts";

const NOW = Date.parse("2027-01-31T08:00:00.000Z");
const HOUR = 3_600_000;
const random = { next: () => 1 };
const noticeOf = (job: string, more: Partial<Notice> = {}): Notice => ({
  ...{ v: 1, id: `${job}-1`, at: toIso(NOW), events: ["finalFailure"], severity: "bad", title: `g/${job} failed` },
  ...{ subject: { kind: "job", group: "g", id: job, name: job }, data: {}, to: [{ channel: "ops", mention: ["U1"] }] },
  ...more,
});
const gather = (notices: readonly Notice[]) =>
  notices.reduce<Delivery | undefined>((open, notice) => addNotice(open, notice, { channel: "ops", id: "D1", nowMs: NOW }), undefined);
const open = gather([noticeOf("a")])!;
const pace: LanePace = { nowMs: NOW, everyMs: 30_000, gatherMs: 1000, eager: false };
const refusal: Sent = { ok: false, text: "HTTP 500", tookMs: 5 };

test("1,000 failures of one job are one line, of 1,000 jobs a bounded list, and none is uncounted", (t) => {
  const same = gather(Array.from({ length: 1000 }, (_, at) => noticeOf("a", { id: `a-${at}` })))!;
  t.deepEqual([same.items.length, same.items[0]?.count, same.items[0]?.notice.id], [1, 1000, "a-999"]);
  const many = gather(Array.from({ length: 1000 }, (_, at) => noticeOf(`j${at}`, { output: "x".repeat(600) })))!;
  t.is(noticeCount(many), 1000);
  t.true(many.items.length <= 50 && JSON.stringify(many).length < 64 * 1024);
  t.is(gather([noticeOf("a"), noticeOf("a", { events: ["recovery"], severity: "good" })])?.items.length, 2, "a recovery is no repeat");
});

test("the first goes when what came with it has gathered, the next when the channel may speak again", (t) => {
  t.deepEqual(nextStep([open], pace), { type: "wait", untilMs: NOW + 1000 });
  t.deepEqual(nextStep([open], { ...pace, nowMs: NOW + 1000 }), { type: "seal", delivery: open });
  const first = sealed({ ...open, id: "D0" }, NOW);
  const done = tried({ random }, first, { ok: true, text: "HTTP 200", tookMs: 5 }, NOW + 2000);
  t.like(done, { state: "delivered", tries: 1, last: "HTTP 200" });
  t.deepEqual(nextStep([done, open], { ...pace, nowMs: NOW + 5000 }), { type: "wait", untilMs: NOW + 32_000 });
  t.is(nextStep([done, open], { ...pace, nowMs: NOW + 32_000 }).type, "seal");
});

test("tries are further and further apart, as far as the target asks, and end after a day", (t) => {
  let delivery = sealed(open, NOW);
  const waits: number[] = [];
  let at = NOW;
  while (delivery.state === "sealed") {
    t.is(nextStep([delivery], { ...pace, nowMs: at }).type, "send");
    delivery = tried({ random }, delivery, refusal, at);
    if (delivery.nextAt === undefined) break;
    t.is(nextStep([delivery], { ...pace, nowMs: at }).type, "wait");
    waits.push(fromIso(delivery.nextAt)! - at);
    at = fromIso(delivery.nextAt)!;
  }
  t.deepEqual(waits.slice(0, 4), [5000, 10_000, 20_000, 40_000]);
  t.is(waits.at(-1), HOUR);
  t.like(delivery, { state: "failed", last: "HTTP 500" });
  t.true(at - NOW <= 24 * HOUR && at - NOW > 20 * HOUR && delivery.tries < MAX_TRIES);
  t.is(tried({ random }, sealed(open, NOW), { ...refusal, retryAfterMs: 2 * HOUR }, NOW).nextAt, toIso(NOW + 2 * HOUR));
  t.is(tried({ random }, sealed(open, NOW), { ...refusal, retryAfterMs: 25 * HOUR }, NOW).state, "failed");
  t.is(tried({ random }, sealed(open, NOW), { ...refusal, final: true }, NOW).state, "failed");
  t.is(tried({ random }, { ...sealed(open, NOW), tries: MAX_TRIES - 1 }, refusal, NOW).state, "failed");
  t.like(revived(delivery, at), { state: "sealed", tries: 0, id: "D1", nextAt: toIso(at) });
});

test("one that is not taken does not hold up the next; a dead channel gathers", (t) => {
  const stuck = tried({ random }, sealed(open, NOW), refusal, NOW);
  const next = { ...open, id: "D2" };
  t.deepEqual(nextStep([stuck, next], { ...pace, nowMs: NOW + 31_000, everyMs: 0 }), { type: "send", delivery: stuck });
  const patient = { ...stuck, nextAt: toIso(NOW + HOUR) };
  t.deepEqual(nextStep([patient, next], { ...pace, nowMs: NOW + 31_000 }), { type: "seal", delivery: next });
  const both = [patient, { ...patient, id: "D2" }, { ...open, id: "D3" }];
  t.deepEqual(nextStep(both, { ...pace, nowMs: NOW + 31_000 }), { type: "wait", untilMs: NOW + HOUR });
  t.is(nextStep(both, { ...pace, nowMs: NOW + 31_000, eager: true }).type, "send", "a mended channel is tried at once");
});

test("ended ones are kept for a day, of the delivered the newest twenty", (t) => {
  const done = Array.from({ length: 25 }, (_, at): Delivery => ({ ...open, id: `D${at}`, state: "delivered", endedAt: toIso(NOW + at) }));
  t.deepEqual(
    outdated([open, ...done], NOW + HOUR)
      .map(({ id }) => id)
      .sort(),
    ["D0", "D1", "D2", "D3", "D4"],
  );
  const failed: Delivery = { ...open, state: "failed", endedAt: toIso(NOW) };
  t.deepEqual(outdated([failed], NOW + 23 * HOUR), []);
  t.deepEqual(outdated([failed], NOW + 25 * HOUR), [failed]);
});
