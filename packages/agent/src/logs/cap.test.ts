/** Capping real files that are appended to meanwhile, reading them by the offsets of what was written, and making them compact. */
import { appendFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import test from "ava";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { tempFolder } from "../../../../test/support/processes.ts";
import { readTail } from "../runners/output-tail.ts";
import { openLibc } from "../spawner/libc.ts";
import { type CapDeps, type CapState, capLimits, capLog } from "./cap.ts";
import { openCapSweep } from "./cap-sweep.ts";
import { compactLog } from "./compact.ts";
import { readCut } from "./log-cut.ts";
import { openLogReader, startOfTail } from "./reader.ts";

const libc = openLibc();
const MIB = 2 ** 20;
const noHoles: CapDeps = {
  punchHole() {
    throw Object.assign(new Error("fallocate"), { code: "EOPNOTSUPP" });
  },
};

/** 16 bytes a line, each telling where it is: any byte of the log can be checked by its offset. */
function lines(from: number, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, i) => `${String(from + i).padStart(15, "0")}\n`).join(""));
}
const diskBytes = (path: string) => statSync(path).blocks * 512;
async function readAll(path: string): Promise<{ from: number; bytes: Buffer }[]> {
  await using log = await openLogReader(path);
  const pieces: { from: number; bytes: Buffer }[] = [];
  for (let at = 0; ; ) {
    const piece = await log?.read(at, MIB);
    if (piece === undefined || piece.bytes.length === 0) return pieces;
    pieces.push(piece);
    at = piece.from + piece.bytes.length;
  }
}
function isTrue(piece: { from: number; bytes: Buffer }): boolean {
  const first = Math.floor(piece.from / 16);
  const whole = lines(first, Math.ceil((piece.from + piece.bytes.length) / 16) - first);
  return whole.subarray(piece.from - first * 16, piece.from - first * 16 + piece.bytes.length).equals(piece.bytes);
}

test("however much is written, a log takes little more than its limit; head and tail are kept, and read at their offsets", async (t) => {
  using temp = tempFolder();
  const path = temp.file("e-1.log");
  const limits = capLimits(4 * MIB);
  let state: CapState | undefined;
  writeFileSync(path, "");
  for (let second = 0; second < 6; second++) {
    appendFileSync(path, lines(second * 640 * 1024, 640 * 1024));
    state = capLog(libc, path, { ...limits, state });
    t.true(diskBytes(path) < 4 * MIB + MIB / 2, `${diskBytes(path)} bytes on disk after ${second + 1} times 10 MiB`);
  }
  const pieces = await readAll(path);
  t.true(pieces.every(isTrue));
  t.is(pieces[0]?.from, 0);
  const kept = pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
  t.is(kept, 4 * MIB);
  const cut = readCut(path);
  t.deepEqual(cut, { head: MIB, cut: 56 * MIB, filled: 56 * MIB });
  t.deepEqual(capLog(libc, path, limits), { cut }, "a new process knows it from the file beside the log");

  await using open = await openLogReader(path);
  await compactLog(path);
  const text = readFileSync(path, "latin1");
  t.true(text.startsWith(String(lines(0, 1000))));
  t.is(text.indexOf(`\n[fleetcron: ${56 * MIB} bytes were cut out here]\n`), MIB);
  t.is(text.length, 4 * MIB + `\n[fleetcron: ${56 * MIB} bytes were cut out here]\n`.length);
  t.deepEqual(await readAll(path), pieces, "it reads the same");
  t.is(await open?.size(), 60 * MIB);
  t.true(isTrue((await open?.read(59 * MIB, 1000)) ?? { from: 1, bytes: Buffer.from("x") }), "also for who has opened it before");
  await compactLog(path);
  t.is(readFileSync(path, "latin1"), text);
  t.false(existsSync(`${path}.tmp`));
});

test("the end of a process cuts its log down to the limit, also one that no step has seen", async (t) => {
  using temp = tempFolder();
  const path = temp.file("e-1.log");
  writeFileSync(path, lines(0, 512 * 1024));
  const limits = capLimits(MIB);
  await compactLog(path, limits);
  t.true(statSync(path).size < MIB + 100);
  t.deepEqual(
    (await readAll(path)).map(({ from, bytes }) => [from, bytes.length]),
    [
      [0, MIB / 4],
      [8 * MIB - 0.75 * MIB, 0.75 * MIB],
    ],
  );
  t.true((await readAll(path)).every(isTrue));
  const capped = temp.file("e-2.log");
  writeFileSync(capped, lines(0, 512 * 1024));
  capLog(libc, capped, limits);
  appendFileSync(capped, lines(512 * 1024, 512 * 1024));
  await using open = await openLogReader(capped);
  await compactLog(capped, limits);
  t.true(statSync(capped).size < MIB + 100);
  t.true((await readAll(capped)).every(isTrue));
  t.is(await open?.size(), 16 * MIB);
  t.true(isTrue((await open?.read(9 * MIB, 10 * MIB)) ?? { from: 1, bytes: Buffer.from("x") }));
  const small = temp.file("e-3.log");
  writeFileSync(small, lines(0, 64 * 1024));
  await compactLog(small, limits);
  t.is(statSync(small).size, MIB);
  t.is(readCut(small), undefined);
});

test("a line of 100 MB, without an end and not UTF-8, is capped like any output", async (t) => {
  using temp = tempFolder();
  const path = temp.file("e-1.log");
  const piece = Buffer.alloc(MIB, 0xfe);
  writeFileSync(path, "begin");
  let state: CapState | undefined;
  for (let count = 0; count < 100; count++) {
    appendFileSync(path, piece);
    if (count % 10 === 0) state = capLog(libc, path, { ...capLimits(MIB), state });
  }
  appendFileSync(path, "end");
  state = capLog(libc, path, { ...capLimits(MIB), state });
  t.true(diskBytes(path) < MIB + MIB / 8);
  await compactLog(path);
  await using log = await openLogReader(path);
  t.is(await log?.size(), 100 * MIB + 8);
  t.is(String((await log?.read(0, 5))?.bytes), "begin");
  t.is(String((await log?.read(100 * MIB + 5, 100))?.bytes), "end");
  t.is(log && (await startOfTail(log, 100 * MIB + 8, 1)), 100 * MIB + 8 - (MIB - MIB / 4), "the tail begins behind the cut");
});

test("without holes the middle goes at the price of the tail so far, and offsets stay", async (t) => {
  using temp = tempFolder();
  const path = temp.file("e-1.log");
  let state: CapState | undefined;
  for (let second = 0; second < 5; second++) {
    appendFileSync(path, lines(second * 128 * 1024, 128 * 1024));
    state = capLog(noHoles, path, { ...capLimits(MIB), state });
    t.true(statSync(path).size <= 2 * MIB);
  }
  appendFileSync(path, lines(5 * 128 * 1024, 1000));
  t.deepEqual(readTail(path, 16), {
    tail: String(lines(5 * 128 * 1024 + 999, 1)),
    cutBytes: 10 * MIB + 15_984,
    totalBytes: 10 * MIB + 16_000,
  });
  t.is(readTail(path, MIB).cutBytes, 10 * MIB);
  const pieces = await readAll(path);
  t.true(pieces.every(isTrue));
  t.deepEqual(
    pieces.map(({ from, bytes }) => [from, bytes.length]),
    [
      [0, MIB / 4],
      [10 * MIB, 16_000],
    ],
  );
  await compactLog(path);
  t.deepEqual(await readAll(path), pieces);
});

test("a process may empty its own output; a log that is gone or small is left alone", async (t) => {
  using temp = tempFolder();
  const path = temp.file("e-1.log");
  t.deepEqual(capLog(libc, path, capLimits(MIB)), { cut: undefined });
  writeFileSync(path, lines(0, 64 * 1024));
  t.deepEqual(capLog(libc, path, capLimits(MIB)), { cut: undefined });
  appendFileSync(path, lines(64 * 1024, 64 * 1024));
  const state = capLog(libc, path, capLimits(MIB));
  t.is(state.cut?.cut, MIB);
  truncateSync(path, 0);
  appendFileSync(path, "anew");
  t.deepEqual(capLog(libc, path, { ...capLimits(MIB), state }), { cut: undefined });
  t.is(String((await readAll(path))[0]?.bytes), "anew");
  await compactLog(path);
  t.is(readFileSync(path, "utf8"), "anew");
});

test("the beginning of the last lines is found, also in a log without a newline at its end", async (t) => {
  using temp = tempFolder();
  const path = temp.file("e-1.log");
  writeFileSync(path, lines(0, 100_000));
  await using log = await openLogReader(path);
  if (log === undefined) return t.fail();
  const size = await log.size();
  for (const count of [0, 1, 2, 50_000, 99_999]) t.is(await startOfTail(log, size, count), size - count * 16);
  t.is(await startOfTail(log, size, 200_000), 0);
  t.is(await startOfTail(log, size - 1, 1), size - 16);
  t.is(await startOfTail(log, size - 5, 1), size - 16);
});

test("a sweep caps what runs, once a second, and says once what it cannot cap", async (t) => {
  using temp = tempFolder();
  const clock = createManualClock();
  const warnings: string[] = [];
  const refused = Object.assign(new Error("fallocate: EIO"), { code: "EIO" });
  let broken = false;
  const sweep = openCapSweep({
    punchHole: (...hole) => {
      if (broken) throw refused;
      libc.punchHole(...hole);
    },
    after: clock.after,
    warn: (message) => warnings.push(message),
  });
  t.is(clock.timers, 0);
  const [a, b] = [temp.file("a-1.log"), temp.file("b-1.log")];
  for (const path of [a, b]) {
    writeFileSync(path, lines(0, 128 * 1024));
    sweep.add(path, MIB);
  }
  sweep.remove(b);
  await clock.advance(1000);
  t.true(diskBytes(a) < MIB + 8192);
  t.is(diskBytes(b), 2 * MIB);
  broken = true;
  appendFileSync(a, lines(0, 64 * 1024));
  await clock.advance(3000);
  t.deepEqual(warnings, [`cannot cap ${a}: Error: fallocate: EIO`]);
  broken = false;
  await clock.advance(1000);
  t.true(diskBytes(a) < MIB + 8192);
  sweep.remove(a);
  await clock.advance(1000);
  t.is(clock.timers, 0);
});
