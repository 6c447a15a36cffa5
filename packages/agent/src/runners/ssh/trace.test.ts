import test from "ava";
import { type HostTrace, parseTrace, traceText } from "./trace.ts";

test("a trace is read as it was written; anything else is none", (t) => {
  const trace = new Map<string, HostTrace>([
    ["a", { type: "begun", offset: 7 }],
    ["b", { type: "ended", end: { host: "b", outcome: { type: "exit", code: 3 }, startedAtMs: 1, durationMs: 2 } }],
  ]);
  t.deepEqual(parseTrace(traceText(trace)), trace);
  for (const text of ["", "{}", "[]", '{"v":2,"hosts":{}}', '{"v":1}', "null"]) t.is(parseTrace(text), undefined, text);
});
