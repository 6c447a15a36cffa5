/** A plain folder stands for a cgroup with a memory controller: what is written and read is the same, only nobody is limited by it. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { oomKillsOf, openCgroups, pidsOfCgroup } from "./cgroups.ts";

const base = mkdtempSync(join(tmpdir(), "fleetcron-cgroups-"));
test.after.always(() => rmSync(base, { recursive: true, force: true }));

test("a limit of memory holds for the whole cgroup, without swap, and ends it as one", (t) => {
  const path = openCgroups(base).limited("e1-1", 1_000_000) ?? "";
  const read = (name: string) => readFileSync(join(path, name), "utf8");
  t.deepEqual(["memory.max", "memory.swap.max", "memory.oom.group"].map(read), ["1000000", "0", "1"]);
});

test("the kernel's count of kills for memory is read; without a controller it is none", (t) => {
  const path = openCgroups(base).enter("e2-1", () => [4711]) ?? "";
  t.deepEqual(pidsOfCgroup(path), [4711]);
  t.is(oomKillsOf(path), 0);
  writeFileSync(join(path, "memory.events"), "low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 1\n");
  t.is(oomKillsOf(path), 2);
});

test("switched off, or nowhere to be had, there are none", (t) => {
  const off = openCgroups(undefined);
  t.is(
    off.enter("e3-1", () => t.fail()),
    undefined,
  );
  t.is(off.limited("e3-1", 1), undefined);
  t.is(
    openCgroups("/etc/hostname").enter("e3-1", () => []),
    undefined,
  );
});

test("what is inhabited when its run ends is removed later", (t) => {
  const cgroups = openCgroups(base);
  const path = cgroups.enter("e4-1", () => []) ?? "";
  mkdirSync(join(path, "inhabitant"));
  cgroups.leave(path);
  t.true(existsSync(path));
  rmSync(join(path, "inhabitant"), { recursive: true });
  cgroups.leave(cgroups.enter("e5-1", () => []) ?? "");
  t.false(existsSync(path));
});
