import test from "ava";
import { suggest, suggestHint } from "./suggest.ts";

test("a slip is found, also with other case or separators", (t) => {
  t.is(suggest("tiemout", ["timeout", "timer"]), "timeout");
  t.is(suggest("kill_grace", ["killGrace", "kind"]), "killGrace");
  t.is(suggest("TIMEOUT", ["timeout"]), "timeout");
});

test("what is far from everything gets no suggestion but the list", (t) => {
  t.is(suggest("banana", ["timeout", "retry"]), undefined);
  t.is(suggestHint("banana", ["timeout", "retry"]), "allowed: timeout, retry");
  t.is(suggestHint("retyr", ["timeout", "retry"]), 'did you mean "retry"?');
});
