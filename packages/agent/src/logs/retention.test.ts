/** What ended executions left goes by age and size, oldest first; what an active one needs stays. */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { createIdSource } from "fleetcron-shared/base/ids";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { systemRandom } from "fleetcron-shared/base/random";
import { tempFolder } from "../../../../test/support/processes.ts";
import { readCut, writeCut } from "./log-cut.ts";
import { createMasker } from "./masker.ts";
import { sweepLogs } from "./retention.ts";

const maskerOf = () => undefined;

const DAY = 86_400_000;
const LARGE = { maxAgeMs: DAY, maxBytes: 2 ** 30 };
const KIB = 1024;

test("by age and by size, oldest first, with all that belongs to an attempt; active and foreign files stay", async (t) => {
  using temp = tempFolder();
  const clock = createManualClock();
  const newId = createIdSource({ clock, random: systemRandom });
  const ids = [10, 6, 5, 4, 3, 2, 1].map((days) => newId(clock.now() - days * DAY));
  const [old = "", activeOld = "", ...recent] = ids;
  for (const id of ids) {
    writeFileSync(temp.file(`${id}-1.log`), Buffer.alloc(100 * KIB));
    writeFileSync(temp.file(`${id}-1.result`), "x");
    mkdirSync(temp.file(`${id}-1`));
    writeFileSync(temp.file(`${id}-1/stdin`), Buffer.alloc(4 * KIB));
  }
  writeFileSync(temp.file("somebody-else"), Buffer.alloc(100 * KIB));
  // Much length and no disk.
  writeFileSync(temp.file(`${recent[4]}-2.log`), "x");
  truncateSync(temp.file(`${recent[4]}-2.log`), 100 * 2 ** 20);
  const isActive = (execution: string) => execution === activeOld;

  t.is(await sweepLogs({ clock, maskerOf }, temp.path, { maxAgeMs: 7 * DAY, maxBytes: 2 ** 30 }, isActive), 1);
  t.deepEqual(
    readdirSync(temp.path).filter((name) => name.startsWith(old)),
    [],
  );
  t.is(await sweepLogs({ clock, maskerOf }, temp.path, { maxAgeMs: 7 * DAY, maxBytes: 350 * KIB }, isActive), 2);
  t.deepEqual(
    ids.map((id) => existsSync(temp.file(`${id}-1.log`))),
    [false, true, false, false, true, true, true],
  );
  t.deepEqual(
    readdirSync(temp.path)
      .filter((name) => name.startsWith(activeOld))
      .sort(),
    ["", ".log", ".result"].map((end) => `${activeOld}-1${end}`),
  );
  t.true(existsSync(temp.file("somebody-else")));
  t.is(await sweepLogs({ clock, maskerOf }, temp.path, { maxAgeMs: 0, maxBytes: 0 }, isActive), 4);
  t.is(readdirSync(temp.path).length, 4);
});

test("a log that a crash left with a hole is made compact, and masked if it was not", async (t) => {
  using temp = tempFolder();
  const clock = createManualClock(systemClock.now());
  const id = createIdSource({ clock, random: systemRandom })();
  const path = temp.file(`${id}-1.log`);
  const hole = 2 ** 20 - 10;
  writeFileSync(path, "my hunter2");
  truncateSync(path, 2 ** 20);
  appendFileSync(path, "and hunter2");
  writeCut(path, { head: 10, cut: hole, filled: hole });
  writeFileSync(temp.file(`${id}-1.secrets`), "sealed");
  writeFileSync(`${path}.tmp`, "half a copy");
  const sweep = () =>
    sweepLogs(
      { clock, maskerOf: (attempt) => createMasker(attempt === temp.file(`${id}-1`) ? ["hunter2"] : []) },
      temp.path,
      LARGE,
      () => false,
    );
  await sweep();
  t.is(readCut(path)?.compact, undefined, "somebody may be at it");
  await clock.advance(3_600_000);
  await sweep();
  t.is(readFileSync(path, "utf8"), `my *******\n[fleetcron: ${hole} bytes were cut out here]\nand *******`);
  t.deepEqual(readdirSync(temp.path).sort(), [`${id}-1.cut`, `${id}-1.log`]);
});
