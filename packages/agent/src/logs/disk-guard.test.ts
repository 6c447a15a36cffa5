import test from "ava";
import { silentLog } from "fleetcron-shared/base/log";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { smallDisk } from "../../../../test/support/small-disk.ts";
import { openDiskGuard } from "./disk-guard.ts";

const MIB = 2 ** 20;

test("nothing new while less than the limit is free, on a real file system", async (t) => {
  using disk = smallDisk(t, 16 * MIB);
  if (disk === undefined) return;
  const deps = { clock: createManualClock(), log: silentLog };
  disk.fill(2 * MIB);
  const guard = await openDiskGuard(deps, disk.path, 4 * MIB);
  t.regex(guard.refusal() ?? "", /has 2MiB free, and 4MiB must stay free \(minFreeDisk\)/);
  guard.close();
  disk.empty();
  t.is((await openDiskGuard(deps, disk.path, 4 * MIB)).refusal(), undefined);
  disk.fill(0);
  t.is((await openDiskGuard(deps, disk.path, 0)).refusal(), undefined, "0 is no limit");
});

test("it looks again every second; a folder that cannot be asked does not stop anything", async (t) => {
  const clock = createManualClock();
  let free: number | Error = 100;
  const guard = await openDiskGuard(
    { clock, log: silentLog, freeBytes: async () => (free instanceof Error ? Promise.reject(free) : free) },
    "/data",
    50,
  );
  const after = async (value: number | Error) => {
    free = value;
    await clock.advance(1000);
    return guard.refusal() !== undefined;
  };
  t.false(await after(50));
  t.true(await after(49));
  t.true(await after(new Error("away")), "the last answer holds");
  t.false(await after(51));
  guard.close();
  t.false(await after(0));
  t.is(clock.timers, 0);
});
