/** Ids made of causes. */
import test from "ava";
import { idTimeMs } from "fleetcron-shared/base/ids";
import { runIdFrom } from "./run-id.ts";

test("the same causes are the same run, at its time", (t) => {
  const at = Date.UTC(2027, 0, 1);
  t.is(runIdFrom(at, "tick", "g", "p"), runIdFrom(at, "tick", "g", "p"));
  t.not(runIdFrom(at, "tick", "g", "p"), runIdFrom(at, "tick", "gp", ""));
  t.is(idTimeMs(runIdFrom(at, "x")), at);
});
