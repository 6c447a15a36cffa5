import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { makeDataDir } from "./data-dir.ts";
import { isCode } from "./errors.ts";

const options = { mode: 0o700, program: "master" };

test("a folder is made with its parents, and one that exists is taken as it is", (t) => {
  const home = mkdtempSync(join(tmpdir(), "fleetcron-data-dir-"));
  t.teardown(() => rmSync(home, { recursive: true }));
  const folder = join(home, "a/b");
  makeDataDir(folder, options);
  makeDataDir(folder, { ...options, mode: 0o755 });
  t.is(statSync(folder).mode & 0o777, 0o700);
});

test("where no folder can be, it says so at once and what to do", (t) => {
  const home = mkdtempSync(join(tmpdir(), "fleetcron-data-dir-"));
  t.teardown(() => rmSync(home, { recursive: true }));
  writeFileSync(join(home, "file"), "");
  for (const path of ["/proc/x/y", join(home, "file"), join(home, "file/x")]) {
    const error = t.throws(() => makeDataDir(path, options), { message: new RegExp(`^the data folder ${path} cannot be used: `) });
    t.true(isCode(error, "config/data-dir") && error.hint === "create it for the master's user, or choose another with --data-dir", path);
  }
});
