/** Ids made of causes. */
import test from "ava";
import { idTimeMs } from "./ids.ts";
import { stableId } from "./stable-id.ts";

test("the same causes are the same id, at its time", (t) => {
  const at = Date.UTC(2027, 0, 1);
  t.is(stableId(at, "tick", "g", "p"), stableId(at, "tick", "g", "p"));
  t.not(stableId(at, "tick", "g", "p"), stableId(at, "tick", "gp", ""));
  t.is(idTimeMs(stableId(at, "x")), at);
});
