import test from "ava";
import { outcomeOf, signalName } from "./exit-status.ts";

const facts = { limits: undefined, killedForMemory: false };

test("an exit is its code", (t) => {
  t.deepEqual(outcomeOf({ code: 7, signal: undefined }, { ...facts, killedForMemory: true }), { type: "exit", code: 7 });
});

test("a KILL is the kernel's for memory when the kernel says so, and somebody's otherwise", (t) => {
  t.deepEqual(outcomeOf({ code: undefined, signal: 9 }, { ...facts, killedForMemory: true }), { type: "oom" });
  const outcome = outcomeOf({ code: undefined, signal: 9 }, facts);
  t.like(outcome, { type: "signal", name: "SIGKILL", sender: "somebody on the host or the kernel, not the agent" });
  t.like(outcomeOf({ code: undefined, signal: 11 }, { ...facts, killedForMemory: true }), { type: "signal", name: "SIGSEGV" });
});

test("each signal names its likely sender", (t) => {
  const senderOf = (signal: number, limits?: { cpuSeconds: number }) => {
    const outcome = outcomeOf({ code: undefined, signal }, { ...facts, limits });
    return outcome.type === "signal" ? (outcome.sender ?? "") : "";
  };
  t.regex(senderOf(11), /program did something/);
  t.regex(senderOf(6), /abort/);
  t.regex(senderOf(13), /closed pipe/);
  t.regex(senderOf(24, { cpuSeconds: 3 }), /limits\.cpu \(3 s\)/);
  t.regex(senderOf(9, { cpuSeconds: 3 }), /limits\.cpu/);
  t.regex(senderOf(15), /not the agent/);
});

test("signals have names, also those that have none", (t) => {
  t.is(signalName(9), "SIGKILL");
  t.is(signalName(6), "SIGABRT");
  t.is(signalName(40), "SIG40");
});
