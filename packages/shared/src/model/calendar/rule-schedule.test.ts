import test from "ava";
import { instantsOf } from "./rule-schedule.ts";
import { compileSchedule } from "./schedule.ts";

const hourly = compileSchedule({ timer: "0 * * * *", timezone: "UTC", hashSeed: "g/j", anchorMs: 0 });
const at = (text: string) => Date.parse(`2026-01-01T${text}:00.000Z`);

test("from and until are inclusive", (t) => {
  const instants = instantsOf({ fromMs: at("03:00"), untilMs: at("05:00") }, hourly);
  t.is(instants.nextAfter(at("00:30")), at("03:00"));
  t.is(instants.nextAfter(at("03:00")), at("04:00"));
  t.is(instants.nextAfter(at("04:30")), at("05:00"));
  t.is(instants.nextAfter(at("05:00")), undefined);
  t.is(instants.lastAtOrBefore(at("02:30")), undefined);
  t.is(instants.lastAtOrBefore(at("03:30")), at("03:00"));
  t.is(instants.lastAtOrBefore(at("09:00")), at("05:00"));
});

test("a rule without bounds has the schedule's instants", (t) => {
  t.is(instantsOf({ fromMs: undefined, untilMs: undefined }, hourly), hourly);
});
