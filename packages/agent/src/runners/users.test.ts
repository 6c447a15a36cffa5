import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { openUsers } from "./users.ts";

test("users and groups are found by name and by number", async (t) => {
  const etc = mkdtempSync(join(tmpdir(), "fleetcron-etc-"));
  t.teardown(() => rmSync(etc, { recursive: true }));
  writeFileSync(join(etc, "passwd"), `zoe:x:71001:71002:Zoe,,,:${etc}:/bin/bash\nghost:x:71009:71002::/no/such/home:/bin/sh\n`);
  writeFileSync(join(etc, "group"), "zoes:x:71002:\nbackup-crew:x:71003:ann,zoe\nothers:x:71004:zoella\n");
  const users = openUsers({ clock: { mono: () => 0 } }, { etc });
  const zoe = { name: "zoe", uid: 71001, gid: 71002, home: etc, startIn: etc, groups: [71002, 71003] };
  t.deepEqual(await users.user("zoe"), zoe);
  t.deepEqual(await users.user("71001"), zoe);
  t.is((await users.user("ghost"))?.startIn, "/");
  t.is(await users.user("nobody-of-that-name"), undefined);
  t.is(await users.gid("backup-crew"), 71003);
  t.is(await users.gid("71003"), 71003);
  t.is(await users.gid("79999"), 79999);
  t.is(await users.gid("no-such-group"), undefined);
});

test("answers are remembered for some seconds", async (t) => {
  const etc = mkdtempSync(join(tmpdir(), "fleetcron-etc-"));
  t.teardown(() => rmSync(etc, { recursive: true }));
  let now = 0;
  const users = openUsers({ clock: { mono: () => now } }, { etc });
  writeFileSync(join(etc, "group"), "crew:x:71003:\n");
  t.is(await users.gid("crew"), 71003);
  writeFileSync(join(etc, "group"), "crew:x:71004:\n");
  t.is(await users.gid("crew"), 71003);
  now = 10_000;
  t.is(await users.gid("crew"), 71004);
});
