/** The journal on a full disk: nothing throws, nothing is lost while the process lives, and it is on disk as soon as there is room. */
import { existsSync } from "node:fs";
import test from "ava";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { smallDisk } from "../../../../test/support/small-disk.ts";
import { openJournal } from "./journal.ts";

const MIB = 2 ** 20;

test("records fit into the file's reserve although the disk is full", async (t) => {
  using disk = smallDisk(t, 24 * MIB);
  if (disk === undefined) return;
  const clock = createManualClock();
  const journal = openJournal({ clock }, disk.path);
  disk.fill(0);
  for (let count = 0; count < 500; count++) {
    journal.putOutbox(`r${count}`, { text: "x".repeat(2000) });
    journal.commit();
  }
  t.is(journal.refusal, undefined);
  t.is(disk.freeBytes(), 0);
  journal.close();
});

test("without any room, what was written stays in memory and is committed when there is some", async (t) => {
  using disk = smallDisk(t, 24 * MIB);
  if (disk === undefined) return;
  const clock = createManualClock();
  const journal = openJournal({ clock }, disk.path);
  disk.fill(0);
  const value = { text: "x".repeat(16_000) };
  let count = 0;
  for (; journal.refusal === undefined && count < 5000; count++) {
    journal.putOutbox(`r${count}`, value);
    journal.commit();
  }
  t.regex(journal.refusal ?? "", /disk is full/);
  journal.markOrderSeen("order", 10, 0);
  journal.putOutbox("last", value);
  await journal.committed();
  t.is(journal.outbox().length, count + 1, "what cannot be written can be read");
  t.true(journal.hasSeenOrder("order"));
  await clock.advance(3000);
  t.regex(journal.refusal ?? "", /disk is full/, "still no room");
  disk.empty();
  await clock.advance(1000);
  t.is(journal.refusal, undefined);
  journal.close();

  t.true(existsSync(`${disk.path}/journal.db`));
  const again = openJournal({ clock }, disk.path);
  t.is(again.outbox().length, count + 1);
  t.true(again.hasSeenOrder("order"));
  again.close();
});
