/** The result file as commands leave it: every kind of thing that can stand in its place, read without waiting, without following and without harm. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import test from "ava";
import { dropResult, prepareResult, takeResult } from "fleetcron-agent/run/result";
import { silentLog } from "fleetcron-shared/base/log";
import { tempFolder } from "../support/processes.ts";

const deps = { log: silentLog };
const job = { resultFrom: "file" } as const;
const NOT_PLAIN = { problems: ["there is something else than a plain file where the result should be"] };

test("a result is read as it stands, stays until it is dropped, and is nothing when there is none", (t) => {
  using folder = tempFolder();
  const path = folder.file("a.result");
  t.is(takeResult(deps, path, job), undefined);
  writeFileSync(path, "");
  t.is(takeResult(deps, path, job), undefined);
  writeFileSync(path, "a=1\n");
  t.deepEqual(takeResult(deps, path, job), { outputs: { a: "1" } });
  t.deepEqual(takeResult(deps, path, job), { outputs: { a: "1" } });
  dropResult(path);
  t.false(existsSync(path));
  dropResult(path);
});

test("links, FIFOs, folders and devices are named as such, left alone, and dropped", (t) => {
  using folder = tempFolder();
  const target = folder.file("target");
  writeFileSync(target, "secret=1\n");
  const [link, fifo, dir, loop] = [folder.file("link"), folder.file("fifo"), folder.file("dir"), folder.file("loop")];
  symlinkSync(target, link);
  symlinkSync(loop, loop);
  execFileSync("mkfifo", [fifo]);
  mkdirSync(dir);
  symlinkSync(target, `${dir}/inside`);
  for (const path of [link, fifo, dir, loop]) {
    t.deepEqual(takeResult(deps, path, job), NOT_PLAIN, path);
    dropResult(path);
    t.false(existsSync(path), path);
  }
  t.is(readFileSync(target, "utf8"), "secret=1\n", "what a link pointed at is untouched");
});

test("huge and binary files: no more than the limit is read, and the record says so", (t) => {
  using folder = tempFolder();
  const path = folder.file("big");
  writeFileSync(path, "a=1\n");
  truncateSync(path, 2 ** 40);
  const big = takeResult(deps, path, job);
  t.is(big?.outputs, undefined);
  t.regex(big?.problems?.[0] ?? "", /1099511627776 bytes/);
  writeFileSync(path, Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0xff, 0x00]));
  t.deepEqual(takeResult(deps, path, job)?.problems, ["it is not text in UTF-8"]);
});

test("stderr: the end of a long one holds the result", (t) => {
  using folder = tempFolder();
  const path = folder.file("stderr");
  writeFileSync(path, `${"noise {\n".repeat(20_000)}{"outputs":{"a":"1"}}\n`);
  const result = takeResult(deps, path, { resultFrom: "stderr" });
  t.deepEqual(result?.outputs, { a: "1" });
  t.is(result?.problems, undefined);
});

test("what cannot be read is a problem of the result, not of the execution; secrets do not get out", (t) => {
  using folder = tempFolder();
  t.deepEqual(takeResult(deps, folder.file("x".repeat(300)), job), { problems: ["the result cannot be read: ENAMETOOLONG"] });
  const path = folder.file("masked");
  writeFileSync(path, '{"outputs":{"key":"is hunter2"},"message":"hunter2","conditions":[{"type":"T","status":"hunter2"}],"x":1}');
  const masked = takeResult({ ...deps, mask: (text) => text.replaceAll("hunter2", "***") }, path, job);
  t.like(masked, { outputs: { key: "is ***" }, message: "***", conditions: [{ type: "T", status: "***" }] });
  t.false(JSON.stringify(masked).includes("hunter2"));
  writeFileSync(path, `${"x".repeat(4085)}hunter2 and so on`);
  t.false(
    takeResult({ ...deps, mask: (text) => text.replaceAll("hunter2", "***") }, path, job)?.raw?.includes("hun"),
    "nor the half that is left of it",
  );
  writeFileSync(path, '{"message":"hunt\\u0065r2"}');
  t.is(takeResult({ ...deps, mask: (text) => text.replaceAll("hunter2", "***") }, path, job)?.message, "***", "nor behind an escape");
});

test("for another user: an empty file of theirs, whatever stood there before", (t) => {
  if (process.getuid?.() !== 0) {
    t.pass("needs root");
    return;
  }
  using folder = tempFolder();
  chmodSync(folder.path, 0o755);
  const path = folder.file("theirs");
  symlinkSync("/etc/passwd", path);
  prepareResult(path, { uid: 65_534, gid: 65_534 });
  const { uid, gid, mode, size } = statSync(path);
  t.deepEqual({ uid, gid, mode: mode & 0o7777, size }, { uid: 65_534, gid: 65_534, mode: 0o600, size: 0 });
  execFileSync("/bin/sh", ["-c", `echo "a=$(id -u)" > ${path}`], { uid: 65_534, gid: 65_534 });
  t.deepEqual(takeResult(deps, path, job), { outputs: { a: "65534" } });
});
