/** The calendar against an independent brute force (support/calendar-oracle.ts): random expressions in many zones, around offset changes of 1995–2036. */
import test from "ava";
import { compileSchedule } from "fleetcron-shared/model/calendar/schedule";
import { ticksBetween } from "fleetcron-shared/model/calendar/ticks";
import { type Policy, readWindow, ticksOf, transitionsOf, type Window } from "../support/calendar-oracle.ts";
import { pick, randomTimer, seededRandom } from "../support/random-timers.ts";

const ZONES = [
  "America/New_York",
  "Europe/Berlin",
  "Europe/Dublin",
  "Australia/Lord_Howe",
  "America/Santiago",
  "Africa/Casablanca",
  "Asia/Gaza",
  "Pacific/Apia",
  "America/Havana",
  "Pacific/Chatham",
  "Asia/Kathmandu",
  "America/Sao_Paulo",
  "America/St_Johns",
  "Antarctica/Troll",
  "Asia/Pyongyang",
  "UTC",
];
/** Another seed for another series: FLEETCRON_TEST_SEED=7. */
const SEED = Number(process.env.FLEETCRON_TEST_SEED ?? 20_270_101);
const EXPRESSIONS = 240;
const WINDOWS_PER_ZONE = 14;
/** Each window holds so many days before and after its centre; all but the outermost day at each end are compared. */
const DAYS = 3;
const DAY_MS = 86_400_000;
const [FROM_MS, UNTIL_MS] = [Date.UTC(1995, 0, 1), Date.UTC(2037, 0, 1)];
const POLICIES: readonly Policy[] = [
  {},
  ...(["next", "skip"] as const).flatMap((gap) => (["first", "second", "both"] as const).map((fold) => ({ gap, fold }))),
];

/** Windows around randomly chosen transitions, and some on any day. */
function windowsOf(zone: string, random: () => number): Window[] {
  const transitions = transitionsOf(zone, FROM_MS, UNTIL_MS);
  const odd = transitions.filter((ms) => zone === "Pacific/Apia" && Math.abs(ms - Date.UTC(2011, 11, 30)) < 3 * DAY_MS);
  const any = Array.from({ length: 3 }, () => FROM_MS + Math.floor(random() * (UNTIL_MS - FROM_MS)));
  const chosen = transitions.length === 0 ? [] : Array.from({ length: WINDOWS_PER_ZONE - 3 - odd.length }, () => pick(random, transitions));
  return [...odd, ...chosen, ...any].map((centre) => readWindow(zone, centre, DAYS));
}

for (const zone of ZONES) {
  test(`agrees with the brute force in ${zone}`, (t) => {
    const random = seededRandom(SEED + ZONES.indexOf(zone));
    const expressions = seededRandom(SEED);
    const windows = windowsOf(zone, random);
    let compared = 0;
    for (let round = 0; round < EXPRESSIONS; round++) {
      const timer = randomTimer(expressions);
      for (const policy of [POLICIES[0]!, pick(random, POLICIES), pick(random, POLICIES)]) {
        const window = pick(random, windows);
        const wrong = compare(timer, window, policy, random);
        if (wrong !== undefined) return t.fail(`${wrong} · timer "${timer}" in ${zone} with ${JSON.stringify(policy)}, seed ${SEED}`);
        compared++;
      }
    }
    t.is(compared, EXPRESSIONS * 3);
  });
}

/** What differs, or undefined. */
function compare(timer: string, window: Window, policy: Policy, random: () => number): string | undefined {
  const schedule = compileSchedule({
    timer,
    timezone: window.zone,
    hashSeed: "g/j",
    anchorMs: 0,
    dstGap: policy.gap,
    dstFold: policy.fold,
  });
  const centre = window.startMs + DAYS * DAY_MS;
  // what fires every few seconds is compared for the hours around the centre
  const reach = timer.split(" ").length === 6 ? DAY_MS / 6 : DAY_MS * (DAYS - 1);
  const [from, until] = [centre - reach, centre + reach];
  const expected = ticksOf(timer, window, policy, from, until);
  const listed = ticksBetween(schedule, from - 1, until, expected.length + 1);
  const differs = expected.findIndex((ms, index) => ms !== listed[index]);
  if (differs >= 0 || expected.length !== listed.length) {
    const index = differs >= 0 ? differs : expected.length;
    return `tick ${index}: expected ${show(expected[index])}, got ${show(listed[index])}`;
  }
  for (let probe = 0; probe < 12; probe++) {
    const near = probe < 6 ? 9_000_000 : reach;
    const exact = probe % 3 === 0 && expected.length > 0 ? pick(random, expected) : undefined;
    const at = exact ?? Math.floor(centre + (random() * 2 - 1) * near);
    const next = expected.find((ms) => ms > at);
    const gotNext = schedule.nextAfter(at);
    if (next === undefined ? gotNext !== undefined && gotNext <= until : gotNext !== next)
      return `after ${show(at)}: expected ${show(next)}, got ${show(gotNext)}`;
    const last = expected.findLast((ms) => ms <= at);
    const gotLast = schedule.lastAtOrBefore(at);
    if (last === undefined ? gotLast !== undefined && gotLast >= from : gotLast !== last)
      return `at or before ${show(at)}: expected ${show(last)}, got ${show(gotLast)}`;
  }
  return undefined;
}

function show(ms: number | undefined): string {
  return ms === undefined ? "none" : new Date(ms).toISOString();
}
