import test from "ava";
import { exitOf } from "./exit-text.ts";

test("what dash, bash and busybox say of an end", (t) => {
  const exit = (code: number) => ({ type: "exit", code });
  const signal = (name: string) => ({ type: "signal", name });
  t.deepEqual(exitOf(0, 127, "[1] + Done                       "), exit(0));
  t.deepEqual(exitOf(143, 127, "[1] + Done(143)"), exit(143));
  t.deepEqual(exitOf(143, 127, "[1] + Terminated"), signal("SIGTERM"));
  t.deepEqual(exitOf(145, 143, "[1]+  Exit 143                sh -c x"), exit(143));
  t.deepEqual(exitOf(145, 137, "[1]+  Killed                  sh -c x"), signal("SIGKILL"));
  t.deepEqual(exitOf(145, 127, "[1]+  Done(3)"), exit(3));
  t.deepEqual(exitOf(145, 127, "[1]+  Segmentation fault (core dumped)"), signal("SIGSEGV"));
  t.deepEqual(exitOf(145, 127, "[1]+  Done(127)"), exit(127));
  // A shell without a word for it.
  t.deepEqual(exitOf(7, 127, ""), exit(7));
  t.deepEqual(exitOf(0, 127, "[1] + Running"), exit(0));
  t.deepEqual(exitOf(143, 127, ""), signal("SIGTERM"));
});
