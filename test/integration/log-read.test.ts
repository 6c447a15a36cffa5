/** Logs that stay on a node: large, capped, binary, removed; exact for programs, harmless on terminals; and many writers at once. */
import { createHash } from "node:crypto";
import { readdirSync, rmSync, statSync } from "node:fs";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { prefixRange } from "fleetcron-shared/store/kv";
import { createCli, expectRun } from "../support/cli-process.ts";
import { startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";
import { collect, ended, runScript } from "../support/log-fleet.ts";

const MIB = 2 ** 20;
const never = new AbortController().signal;
const logFile = (fleet: Fleet, execution: string) => fleet.file(`data-n1/exec/${execution}-1.log`);

test("a log of 1 GB opens from either end without being read through, and its node finds a line in it", async (t) => {
  t.timeout(120_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1"] });
  const script = `printf 'first\\nsecond\\n'; yes 0123456789abcde | head -c 1000000000; printf 'last but one\\nlast'; hold`;
  const job = await runScript(fleet, "giant", script, { log: { maxBytes: "2GiB" } });
  await eventually(
    "it is written",
    async () => (statSync(logFile(fleet, job.execution), { throwIfNoEntry: false })?.size ?? 0) === 1_000_000_030,
    60_000,
  );
  // All of it would take minutes at the rate at which a node shows logs.
  const timed = async (query: object) => {
    const startedAt = systemClock.mono();
    const part = await fleet.api.log(job.execution, query);
    const ms = systemClock.mono() - startedAt;
    t.log(`${JSON.stringify(query)} took ${Math.round(ms)} ms`);
    t.true(ms < 10_000);
    return part;
  };
  t.is(String((await timed({ head: 1 })).bytes), "first\n");
  t.is(String((await timed({ tail: 2 })).bytes), "last but one\nlast");
  const end = await timed({ from: 1_000_000_026 });
  t.deepEqual([String(end.bytes), end.offset, end.next, end.size], ["last", 1_000_000_026, 1_000_000_030, 1_000_000_030]);
  const startedAt = systemClock.mono();
  const followed = await collect(fleet.api.followLog(job.execution, { tail: 1 }, undefined, never), (text) => text !== "");
  t.is(followed.text, "last");
  t.true(systemClock.mono() - startedAt < 10_000);
  const find = async (query: { text: string; from?: number; direction?: "up" }) => {
    const begun = systemClock.mono();
    const { offset } = await fleet.api.searchLog(job.execution, query);
    t.log(`${JSON.stringify(query)} took ${Math.round(systemClock.mono() - begun)} ms`);
    return offset;
  };
  t.is(await find({ text: "LAST but" }), 1_000_000_013);
  t.is(await find({ text: "first", from: 1_000_000_026, direction: "up" }), 0);
  t.is(await find({ text: "first", from: 1 }), null);
  const cli = createCli(fleet.folder, { FLEETCRON_SERVER: fleet.url, FLEETCRON_TOKEN: fleet.token });
  await expectRun(t, cli, ["run", "logs", job.execution, "--find", "LAST but"], { code: 0, out: /^last but one\nlast$/ });
  const missing = /no line of the log of execution \S+ from byte 1 on holds "first"/;
  await expectRun(t, cli, ["run", "logs", job.execution, "--find", "first", "--from", "1"], { code: 3, err: missing });
  await expectRun(t, cli, ["run", "logs", job.execution, "--find", "x", "--tail", "1"], { code: 2, err: /--tail and --find exclude/ });
  job.release();
  await ended(fleet, job.execution);

  const small = await runScript(fleet, "small", "printf 'one\\ntwo\\none\\n'");
  await ended(fleet, small.execution);
  t.is((await fleet.api.log(small.execution, {})).size, 12);
  t.is((await fleet.api.searchLog(small.execution, { text: "ONE", from: 1 })).offset, 8, "in what the record has");
});

test("what is beyond the limit of a log is cut out of its middle; all the rest is exact, whatever the bytes are", async (t) => {
  t.timeout(120_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1"] });
  // Every byte value, no newline, invalid UTF-8, repeated: 16 MiB in 256 pieces that name their place.
  const program = `const b=Buffer.from(Array.from({length:65528},(_,i)=>(i*31+(i>>8))&255));const fs=require("fs");for(let i=0;i<256;i++){fs.writeSync(1,String(i).padStart(8,"0"));fs.writeSync(1,b);if(i%32===31)Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0,600)}`;
  const job = await runScript(fleet, "binary", `exec "${process.execPath}" -e '${program}'`, { log: { maxBytes: "2MiB" } });
  await ended(fleet, job.execution);
  const piece = Buffer.from(Array.from({ length: 65_528 }, (_, i) => (i * 31 + (i >> 8)) & 255));
  const whole = Buffer.concat(Array.from({ length: 256 }, (_, i) => [Buffer.from(String(i).padStart(8, "0")), piece]).flat());
  const path = logFile(fleet, job.execution);
  const file = await eventually("the log is compact", async () => {
    const found = statSync(path);
    return found.size < 16 * MIB && found;
  });
  t.true(file.blocks * 512 <= file.size + 8192);

  const head = await fleet.api.log(job.execution, { bytes: 4 * MIB });
  t.is(head.size, whole.length);
  t.is(head.next, MIB / 2);
  t.true(head.bytes.equals(whole.subarray(0, MIB / 2)));
  const tail = await fleet.api.log(job.execution, { from: head.next, bytes: 4 * MIB });
  t.is(tail.offset - tail.skipped, head.next);
  t.is(tail.next, whole.length);
  t.true(tail.bytes.equals(whole.subarray(tail.offset)));
  t.true(tail.bytes.length >= 1.5 * MIB && tail.bytes.length < 4 * MIB);

  const cli = createCli(fleet.folder, { FLEETCRON_SERVER: fleet.url, FLEETCRON_TOKEN: fleet.token });
  const sum = await cli(["run", "logs", job.execution, "--from", String(tail.offset + 100)]);
  t.is(sum.code, 0, sum.err);
  const shown = await collect(fleet.api.followLog(job.execution, {}, undefined, never));
  t.is(shown.skipped, tail.skipped);
  const hash = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
  t.is(hash(shown.bytes), hash(Buffer.concat([head.bytes, tail.bytes])));
  await expectRun(t, cli, ["run", "logs", job.execution], { code: 0, err: /^… 1[34]\.\d MiB were cut out of the log/ });

  rmSync(path);
  const record = await fleet.api.log(job.execution, { bytes: 4 * MIB });
  t.is(record.size, whole.length, "a log that is gone: the record's end of it, and how much is missing");
  t.is(record.offset, record.skipped);
  t.true(whole.length - record.offset <= 8192);
});

test("10 MB/s from several writers: their logs stay near the limit, who follows one is told what is skipped, and etcd is not flooded", async (t) => {
  t.timeout(180_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1"] });
  // What cannot be squeezed: else all of it would come through.
  const program = `const b=Buffer.from(require("crypto").randomBytes(750000).toString("base64"));let n=0;const fs=require("fs");const w=()=>{fs.writeSync(1,b);if(++n<80)setTimeout(w,100);else fs.writeSync(1,"the end\\n")};w()`;
  const script = `exec "${process.execPath}" -e '${program}'`;
  const jobs = await Promise.all([1, 2, 3].map((n) => runScript(fleet, `fast${n}`, script, { log: { maxBytes: "8MiB" } })));
  const first = jobs[0]?.execution ?? "";
  const revision = async () => (await fleet.kv.range({ ...prefixRange(fleet.keys.all), countOnly: true })).revision;
  const before = await revision();
  let shownBytes = 0;
  const followed = await collect(fleet.api.followLog(first, {}, undefined, never), (_, event) => {
    shownBytes += event.bytes.length;
    return false;
  });
  t.true(followed.types.includes("skipped"));
  t.is(shownBytes + followed.skipped, 80_000_008);
  t.true(followed.text.endsWith("the end\n"));
  const revisions = (await revision()) - before;
  t.true(revisions < 600, `${revisions} revisions`);
  for (const { execution } of jobs) await ended(fleet, execution);
  const dir = fleet.file("data-n1/exec");
  await eventually("all are compact", async () => readdirSync(dir).every((name) => statSync(`${dir}/${name}`).size <= 9 * MIB));
});
